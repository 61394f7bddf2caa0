"""Cells of tables: six significant digits, short lists, and nothing that acts on a terminal."""

from __future__ import annotations

import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolio_plugins.cli.cells import cell, cut, is_number, pad, width
from runfolio_plugins.cli.escaping import escape, escape_json, escape_log, escape_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.6792452830188679, "0.679245"),
        (10.0, "10"),
        (5.0, "5"),
        (0.3125, "0.3125"),
        (-0.0000123456789, "-1.23457e-05"),
        (1234567.0, "1.23457e+06"),
        (123456.7, "123457"),
        (12345678, "12345678"),
        (2**70, "1180591620717411303424"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("Infinity", "Infinity"),
        ("a\tb", "a\\tb"),
        ([0.1234567, 2, None], "[0.123457, 2, null]"),
        ([], "[]"),
        ([0.5] * 150, "[0.5, 0.5, 0.5, … 150 values]"),
        ({"a": 1, "b": None}, "{a: 1, b: null}"),
        ({}, "{}"),
    ],
)
def test_a_value_is_shown_short(value: object, shown: str) -> None:
    assert shown == cell(value)  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_six_significant_digits_and_no_more(value: float) -> None:
    shown = cell(value)
    assert math.isclose(float(shown), value, rel_tol=1e-5, abs_tol=1e-320)
    digits = shown.lower().split("e")[0].lstrip("-").replace(".", "").lstrip("0")
    assert len(digits) <= 6
    assert "." not in shown or not shown.split("e")[0].endswith("0")


@given(st.integers())
def test_an_int_is_shown_whole(value: int) -> None:
    assert value == int(cell(value))


@given(st.text(st.characters(), max_size=300))
def test_no_text_can_leave_its_cell(text: str) -> None:
    shown = cell(text)
    assert width(shown) <= 60
    assert not [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert not {"\u202e", "\u2066", "\u200f"} & set(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("gpj.\u202etxt", "gpj.\\u202etxt"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("é 漢 👩‍💻", "é 漢 👩‍💻"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert shown == escape(text)


def test_text_of_several_lines_keeps_its_lines() -> None:
    assert "a\n\tb\\x1b[0m" == escape_text("a\n\tb\x1b[0m")


def test_a_log_keeps_its_colours_and_its_progress_bars_only() -> None:
    assert "\x1b[31mred\x1b[0m 10%\r20%\n" == escape_log("\x1b[31mred\x1b[0m 10%\r20%\n")
    assert "\\x1b]0;title\\x07\\x1b[2J" == escape_log("\x1b]0;title\x07\x1b[2J")


@given(st.text(st.characters()))
def test_escaped_json_is_the_same_document(text: str) -> None:
    shown = escape_json(json.dumps({text: [text]}, ensure_ascii=False, indent=1))
    assert {text: [text]} == json.loads(shown)
    assert not [letter for letter in shown if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cs")]


@given(st.text(max_size=80), st.integers(1, 40))
def test_cutting_fits_and_says_that_something_is_missing(text: str, longest: int) -> None:
    shown = cut(text, longest)
    assert width(shown) <= longest
    assert shown == text or shown.endswith("…")
    assert width(text) > longest or shown == text


def test_wide_and_combining_letters_are_measured_as_terminals_do() -> None:
    assert [4, 1, 3] == [width("漢字"), width("e\u0301"), width("abc")]
    assert "漢  |" == pad("漢", 4) + "|"
    assert "  漢|" == pad("漢", 4, right=True) + "|"


def test_the_words_for_what_json_lacks_are_aligned_like_numbers() -> None:
    assert [True, True, False, False] == [is_number("NaN"), is_number(1.5), is_number(True), is_number("nan")]
