"""Which runs a condition selects."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from runfolio.errors import QueryError
from runfolio.query import Term, Where, column_name, materialise, parse_where

Row = Mapping[str, object]
Extracts = Callable[[Sequence[Row]], Callable[[Term], pa.Array]]


def _selected(text: str, runs: Sequence[Row], extract_from: Extracts) -> list[int]:
    where = parse_where(text)
    mask = where.mask(materialise(where.terms, extract_from(runs), len(runs)))
    return [number for number, chosen in enumerate(mask.to_pylist(), 1) if chosen]


CASES = [
    # comparisons
    ("run_number = 2", [2]),
    ("run_number == 2", [2]),
    ("number != 2", [1, 4, 5, 6]),
    ("number <> 2", [1, 4, 5, 6]),
    ("number<2", [1]),
    ("number <= 2", [1, 2]),
    ("number > 4.5", [5, 6]),
    ("number >= 5", [5, 6]),
    ("2 < number", [4, 5, 6]),
    ("2 >= number", [1, 2]),
    ("params.lr < .05", [2, 5, 6]),
    ("params.lr = 1e-1", [1]),
    ("params.lr = 10E-2", [1]),
    ("params.lr > -1", [1, 2, 5, 6]),
    ("params.lr < +1.", [1, 2, 5, 6]),
    # one name, two kinds
    ("params.lr = 'auto'", [3]),
    ("params.lr != 'x'", [3]),
    ("params.lr != 0.1", [2, 5, 6]),
    ("`val/acc` = 'high'", [3]),
    ("not `val/acc` = 'high'", []),
    ("params.lr in (0, 'auto')", [3, 5, 6]),
    ("params.lr not in (0.1, 'auto')", [2, 5, 6]),
    ("params.lr not in (0.1)", [2, 5, 6]),
    # nan and infinities
    ("val/acc = nan", [2]),
    ("val/acc != NaN", [1, 4, 6]),
    ("val/acc in (nan, 0.8)", [1, 2]),
    ("val/acc not in (nan, 0.8)", [4, 6]),
    ("val/acc = -inf", [4]),
    ("val/acc < infinity", [1, 4, 6]),
    ("val/acc > 0", [1, 6]),
    ("not val/acc > 0", [2, 4]),
    # in, between
    ("number in (1, 2, 9)", [1, 2]),
    ("number not in (1, 2, 9)", [4, 5, 6]),
    ("name in ('base', \"it's\")", [1, 4]),
    ("params.lr in (0)", [5, 6]),
    ("params.lr in (-0.0)", [5, 6]),
    ("number between 2 and 5", [2, 4, 5]),
    ("number not between 2 and 5", [1, 6]),
    ("params.lr between 'a' and 'b'", [3]),
    ("number between 5 and 2", []),
    # like
    ("name like 'b%'", [1]),
    ("name LIKE '50\\% %'", [2]),
    ("name like '50!%%' escape '!'", [2]),
    ("name like 'a_b'", [5]),
    ("name like 'a\\_b'", [5]),
    ("name like '_as_'", [1]),
    ("name like '%'", [1, 2, 4, 5, 6]),
    ("name like 'two_lines _'", [6]),
    ("name like 'ase'", []),
    ("name not like 'b%'", [2, 4, 5, 6]),
    ("params.opt like 'adam'", [1]),
    ("params.lr like 'a%'", [3]),
    ("name like '.*'", []),
    # null
    ("run_number is null", [3]),
    ("run_number is not null", [1, 2, 4, 5, 6]),
    ("name IS NULL", [3]),
    ("val/acc is null", [5]),
    ("val/acc is not null", [1, 2, 3, 4, 6]),
    ("params.lr is null", [4]),
    ("max(`val/acc`) is null", [3, 4, 5, 6]),
    ("ended is null", [1, 2, 3, 4, 5, 6]),
    # texts
    ("name = 'it''s'", [4]),
    ("name = 'it\\'s'", [4]),
    ('name = "it\'s"', [4]),
    ("name = 'two\\nlines \\u00e9'", [6]),
    ("name > 'b'", [1, 4, 6]),
    ("status = 'Completed'", [1, 4]),
    ("status in ('Failed', 'Lost')", [2, 5]),
    # times and durations
    ("created_utc < '2026-03-02'", [1]),
    ("created = '2026-03-02T12:00:00Z'", [2]),
    ("created = '2026-03-02T13:00:00+01:00'", [2]),
    ("created between '2026-03-03' and '2026-03-05'", [3, 4]),
    ("created in ('2026-03-01T12:00', '2026-03-02 12:00:00')", [1, 2]),
    ("'2026-03-05' < created", [5, 6]),
    ("duration > 60", [1, 2]),
    ("duration = '1h30m'", [2]),
    ("duration between '1 s' and '1.5 min'", [1, 4]),
    # tags and flags
    ("tag:prod", [1, 4]),
    ("not tag:prod", [2, 3, 5, 6]),
    ("tag:my-tag or tag:v1.0", [1, 2]),
    ("TAG:`my-tag`", [2]),
    ("hidden", [4]),
    ("not archived", [1, 2, 3, 5, 6]),
    ("hidden = false", [1, 2, 3, 5, 6]),
    ("hidden != false", [4]),
    # names
    ("params.layers.0 = 64", [4]),
    ("params.`layers.0` = 64", [4]),
    ("params.`use gpu` = true", [4]),
    ("params.`use gpu` = 1", [4]),
    ("params.`use gpu` = false", []),
    ("`learning rate` = 7", [5]),
    ("metrics.`learning rate` = 7", [5]),
    ("metrics.status = 3", [5]),
    ("metrics.val/acc = 0.8", [1]),
    ("last(`val/acc`) = 'high'", [3]),
    # statistics
    ("max(`val/acc`) > .9", [2]),
    ("MAX(val/acc) >= .85", [1, 2]),
    ("min( metrics.val/acc ) = .1", [1]),
    ("count(val/acc) > 2", [1, 2]),
    ("max(duration) = 2", [5]),
    # joining
    ("tag:prod and number = 1", [1]),
    ("number = 1 or number = 2 and tag:prod", [1]),
    ("(number = 1 or number = 2) and tag:my-tag", [2]),
    ("not (number = 1 or number = 2)", [4, 5, 6]),
    ("not not number = 1", [1]),
    ("not number = 1 and not number = 2", [4, 5, 6]),
    ("number = 1 AND name = 'base' And hidden = FALSE", [1]),
    ("number > 3 or name is null", [3, 4, 5, 6]),
    ("params.lr < 1 or created > '2026-01-01'", [1, 2, 3, 4, 5, 6]),
    ("params.lr < 1 and val/acc > 0.85", [6]),
    ("\n number\t=\n1 ", [1]),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_selects(text: str, expected: list[int], runs: list[Row], extract_from: Extracts) -> None:
    assert _selected(text, runs, extract_from) == expected


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_text_form_reads_back_as_the_same_condition(text: str) -> None:
    where = parse_where(text)
    assert parse_where(str(where)) == where
    assert hash(parse_where(str(where))) == hash(where)
    assert pickle.loads(pickle.dumps(where)) == where


def test_missing_values_are_neither_true_nor_false(runs: list[Row], extract_from: Extracts) -> None:
    where = parse_where("number > 1")
    assert where.mask(materialise(where.terms, extract_from(runs))).to_pylist() == [False, True, None, True, True, True]
    inverse = parse_where("not number > 1")
    assert inverse.mask(materialise(inverse.terms, extract_from(runs))).to_pylist()[2] is None


def test_terms_are_what_the_expression_needs_and_each_once() -> None:
    where = parse_where("acc > 1 and acc < 2 and acc = 'x' and max(acc) > 1 and tag:t and params.lr is null")
    assert where.terms == (
        Term("metric", "acc"),
        Term("metric", "acc", "last", "text"),
        Term("metric", "acc", "max"),
        Term("tag", "t", "last", "present"),
        Term("param", "lr", "last", "present"),
    )


def test_expression_works_on_columns_of_the_callers_choice() -> None:
    where = parse_where("acc > 1 and tag:t")
    table = pa.table({"a": [0.0, 2.0, 3.0, None], "b": [True, True, False, True], "run": ["w", "x", "y", "z"]})
    names = {Term("metric", "acc"): "a", Term("tag", "t", "last", "present"): "b"}
    assert table.filter(where.expression(names))["run"].to_pylist() == ["x"]
    with pytest.raises(QueryError, match="acc"):
        where.expression({})


def test_filter_keeps_the_order_and_further_columns_of_chunked_tables() -> None:
    where = parse_where("acc > 10")
    numbers = [float(number) for number in range(5000)]
    parts = [numbers[start : start + 37] for start in range(0, 5000, 37)]
    chunked = pa.chunked_array([pa.array(part, pa.float64()) for part in parts])
    table = materialise(where.terms, lambda _: chunked, 5000).append_column("run", pa.chunked_array([numbers]))
    assert where.filter(table)["run"].to_pylist() == numbers[11:]
    assert where.mask(table).to_pylist() == [number > 10 for number in numbers]


def test_columns_are_normalised_to_one_type_a_reading() -> None:
    terms = [
        Term("field", "run_number"),
        Term("field", "hidden"),
        Term("field", "name", "last", "text"),
        Term("field", "created_utc"),
        Term("param", "x", "last", "present"),
    ]
    given = {
        "run_number": pa.array([2**60, None]),
        "hidden": pa.array([True, None]),
        "name": pa.array(["a", None]).dictionary_encode(),
        "created_utc": pa.array([1_000_000, None], pa.timestamp("us", "UTC")),
        "x": pa.array(["some value", None]),
    }
    table = materialise(terms, lambda term: given[term.name])
    assert [table[column_name(term)].to_pylist()[0] for term in terms[:3]] == [float(2**60), 1.0, "a"]
    assert [str(kind) for kind in table.schema.types] == ["double", "double", "string", "timestamp[us, tz=UTC]", "bool"]
    assert table[column_name(terms[4])].to_pylist() == [True, False]


@pytest.mark.parametrize(
    "given",
    [
        pa.array([1_772_366_400.000001, None]),
        pa.array(["2026-03-01T12:00:00.000001+00:00", None]),
        pa.array(["2026-03-01T12:00:00.000001", "no time"]),
        pa.array([1_772_366_400_000_001_000, None], pa.timestamp("ns", "UTC")),
        pa.array([1_772_366_400_000_001, None], pa.timestamp("us")),
    ],
    ids=["seconds", "text", "text without offset", "nanoseconds", "no zone"],
)
def test_times_are_compared_to_the_microsecond_however_they_come(given: pa.Array) -> None:
    where = parse_where("created = '2026-03-01T12:00:00.000001'")
    assert where.mask(materialise(where.terms, lambda _: given)).to_pylist() == [True, None]


def test_thousand_conditions_are_compiled_flat() -> None:
    where = parse_where(" or ".join(f"number = {number}" for number in range(1000)))
    found = where.mask(materialise(where.terms, lambda _: pa.array([5.0, 2000.0])))
    assert found.to_pylist() == [True, False]


def test_hints_name_probable_fields() -> None:
    where = parse_where("statsu = 'Completed' and loss < 1 and `run_numbr` > 2 and statsu != 'x'")
    assert [hint.rsplit(" ", 1)[-1] for hint in where.hints()] == ["status?", "run_number?"]
    assert where.hints(metrics=["statsu", "run_numbr"]) == []


def test_where_says_what_it_is() -> None:
    assert repr(parse_where("a>1")) == "parse_where('a > 1')"
    assert isinstance(parse_where("a>1"), Where)
    assert parse_where("a>1") != parse_where("a>2")
    assert parse_where("a>1") != "a > 1"


def test_parser_and_arrow_load_only_when_a_query_is_made() -> None:
    program = (
        "import sys, runfolio.query\n"
        "heavy = {'lark', 'pyarrow', 'pyarrow.dataset', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "where = runfolio.query.parse_where('a > 1')\n"
        "table = runfolio.query.materialise(where.terms, lambda term: sys.modules['pyarrow'].array([1.0, 2.0]))\n"
        "assert where.filter(table).num_rows == 1\n"
        "assert 'pyarrow.dataset' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
