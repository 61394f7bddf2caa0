"""The layout of tables: alignment, underline, and what a narrow terminal leaves out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runfolio_plugins.cli.cells import width
from runfolio_plugins.cli.tables import Table, layout


def test_numbers_stand_right_and_texts_left_below_dashes() -> None:
    lines, left_out = layout(Table(["Rate", "Name"], [[0.679245283, "a"], [10, "long name"], [None, None]]))
    assert lines == [
        "    Rate  Name",
        "--------  ---------",
        "0.679245  a",
        "      10  long name",
        "",
    ]
    assert left_out == []


def test_a_column_that_mixes_kinds_stands_left() -> None:
    lines, _ = layout(Table(["m"], [[1], ["text"]]))
    assert lines == ["m", "----", "1", "text"]


def test_nan_stands_right_among_numbers() -> None:
    lines, _ = layout(Table(["m"], [[1.25], ["NaN"], ["-Infinity"]]))
    assert lines[2:] == ["     1.25", "      NaN", "-Infinity"]


def test_headers_are_made_harmless() -> None:
    lines, _ = layout(Table(["a\x1b[2Jb\n", "x" * 200], [[1, 2]]))
    assert "\x1b" not in lines[0]
    assert "a\\x1b[2Jb\\n" in lines[0]
    assert "x" * 41 not in lines[0]


def test_texts_are_narrowed_before_columns_are_left_out() -> None:
    table = Table(["m", "Note"], [[1.5, "a long note about this run"]], optional=1)
    lines, left_out = layout(table, columns=20)
    assert left_out == []
    assert lines[2] == "1.5  a long note ab…"


def test_metric_columns_that_do_not_fit_are_named() -> None:
    table = Table(["a", "b", "c", "Run_id"], [[1, 2, 3, "r" * 20]], optional=3, whole=frozenset({"Run_id"}))
    lines, left_out = layout(table, columns=25)
    assert left_out == ["b", "c"]
    assert lines[2] == "1  " + "r" * 20


def test_lists_and_then_spare_columns_make_room_for_numbers() -> None:
    table = Table(
        ["Curve", "Rate", "When", "Script", "Run_id"],
        [[[1, 2], 0.5, "w" * 12, "s" * 12, "r" * 20]],
        optional=2,
        spare=("When", "Script"),
        whole=frozenset({"When", "Script", "Run_id"}),
    )
    assert layout(table, columns=60)[1] == ["Curve"]
    assert layout(table, columns=45)[1] == ["Curve", "When"]
    assert layout(table, columns=30)[1] == ["Curve", "When", "Script"]
    assert layout(table, columns=10)[1] == ["Curve", "Rate", "When", "Script"]


def test_the_columns_that_matter_stay_even_on_the_narrowest_terminal() -> None:
    lines, _ = layout(Table(["m", "Run_id"], [[1, "r" * 20]], optional=1, whole=frozenset({"Run_id"})), columns=5)
    assert "r" * 20 in lines[2]


@given(
    st.lists(
        st.lists(st.none() | st.floats(allow_nan=False) | st.text(max_size=90), min_size=4, max_size=4), max_size=6
    ),
    st.integers(1, 100),
)
def test_each_line_of_a_table_has_the_width_of_its_underline(
    rows: list[list[float | str | None]], columns: int
) -> None:
    lines, left_out = layout(Table(["a", "b", "c", "d"], rows, optional=2), columns=columns)
    assert len(lines) == len(rows) + 2
    assert all(width(line) <= len(lines[1]) for line in lines)
    assert len(left_out) <= 2
    # Four narrow texts are 12 columns each, gaps of 2.
    assert len(lines[1]) <= max(columns, 4 * 60 if any(isinstance(v, float) for r in rows for v in r) else 54)
