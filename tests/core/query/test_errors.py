"""What a query that cannot be read says: the place, and what was expected."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from runfolio.errors import QueryError
from runfolio.query import parse_columns, parse_order_by, parse_where

# The text, the position that the caret stands under (counted from 0), and words of the message.
CASES = [
    ("", None, "empty"),
    ("  \n ", None, "empty"),
    ("loss", 4, "expected a comparison"),
    ("not loss", 8, "expected a comparison"),
    ("loss >", 6, "expected a value"),
    ("loss > ", 6, "expected a value"),
    ("loss > and x = 1", 7, "expected a value"),
    ("loss > foo", 7, "'foo'"),
    ("(loss > 1", 9, "')'"),
    ("loss > 1)", 8, "the end"),
    ("loss > 1 2", 9, "and"),
    ("and = 1", 0, "`and`"),
    ("x = 'abc", 4, "closing"),
    ('x = "abc', 4, "closing"),
    ("`abc = 1", 0, "closing"),
    ("`` = 1", 0, "empty"),
    ("tag: and x = 1", 3, "tag:prod"),
    ("a > 1 && b > 1", 6, "expected and"),
    ("a > 1 || b > 1", 6, "expected or"),
    ("!a", 0, "not"),
    ("a % 2 = 1", 2, "backquotes"),
    ("learning-rate = 1", 8, "`learning-rate`"),
    ("batch-32 = 1", 5, "`learning-rate`"),
    ("x in ()", 6, "expected a value"),
    ("x in (1 2)", 8, "','"),
    ("x in 1", 5, "'('"),
    ("x between 1", 11, "and"),
    ("x between 1 and 'a'", 16, "both ends"),
    ("x like 5", 7, "a quoted text"),
    ("x like 'a' escape '%'", 18, "one character"),
    ("x like 'a' escape ''", 18, "one character"),
    (f"x like '{'a' * 1001}'", 7, "longer"),
    ("x is 5", 5, "null"),
    ("x = null", 4, "is null"),
    ("x in (1, NULL)", 9, "is null"),
    ("x < nan", 4, "no order"),
    ("x between nan and 1", 10, "no order"),
    ("x = 1e999", 4, "too large"),
    ("x = 'a\\ud800'", 4, "not a character"),
    ("x = '\ud800'", 5, "not valid Unicode"),
    ("max(x) = 'a'", 9, "expected a number"),
    ("max(params.x) > 1", 4, "is a param"),
    ("max(x", 5, "')'"),
    ("max() > 1", 4, "a name"),
    ("param.lr > 1", 0, "params.lr"),
    ("Params.lr > 1", 0, "params.lr"),
    ("metric.`a b` > 1", 0, "metrics.`a b`"),
    ("tags.prod = true", 0, "tag:prod"),
    ("status = 'completed'", 9, "did you mean 'Completed'"),
    ("status in ('Failed', 'Kompleted')", 21, "did you mean 'Completed'"),
    ("status = 'zzz'", 9, "Submitting"),
    ("status > 3", 9, "expected a text"),
    ("name = true", 7, "expected a text"),
    ("run_number = '7'", 13, "expected a number"),
    ("run_number like '7%'", 0, "like compares texts"),
    ("created like '2026%'", 0, "like compares texts"),
    ("created > 7", 10, "ISO time"),
    ("created > 'yesterday'", 10, "ISO time"),
    ("created > '0001-01-01T00:00+14:00'", 10, "ISO time"),
    ("duration > '5 parsecs'", 11, "no duration"),
    ("hidden = 'yes'", 9, "true or false"),
    ("hidden = 2", 9, "true or false"),
    ("hidden < true", 9, "no order"),
    ("a = 1;", 5, "unexpected"),
    ("__import__('os').system('x')", 10, "expected"),
]


@pytest.mark.parametrize(("text", "position", "words"), CASES, ids=[repr(text)[:40] for text, _, _ in CASES])
def test_message_shows_the_place_and_what_was_expected(text: str, position: int | None, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_where(text)
    message = str(caught.value)
    assert words in message
    if position is not None:
        first, line, caret = message.rsplit("\n", 2)
        assert first.startswith(f"Cannot read the query at position {position + 1}: ")
        if len(text) < 100:
            shown = text.replace("\ud800", " ")
            assert line == f"  {shown}"
        assert caret == f"  {' ' * position}^"
        assert caught.value.key == text


def test_caret_stands_under_the_place_in_its_line() -> None:
    with pytest.raises(QueryError) as caught:
        parse_where("a = 1 and\n  b = foo\n and c = 2")
    assert str(caught.value).splitlines()[-2:] == ["    b = foo", "        ^"]


def test_caret_stands_under_the_place_of_a_long_line() -> None:
    text = " and ".join(f"metric_{number} > {number}" for number in range(40)) + " and x = foo" + " or y = 1" * 30
    with pytest.raises(QueryError) as caught:
        parse_where(text)
    line, caret = str(caught.value).splitlines()[-2:]
    assert line[caret.index("^") :].startswith("foo or")
    assert len(line) < 110


def test_names_that_only_look_like_prefixes_can_be_quoted() -> None:
    assert [term.name for term in parse_where("`param.lr` > 1").terms] == ["param.lr"]
    assert [(term.source, term.name) for term in parse_where("`params.lr` > 1").terms] == [("metric", "params.lr")]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000 + "a = 1" + ")" * 49_000,
        "(" * 200 + "a = 1" + ")" * 200,
        "not " * 20_000 + "a = 1",
        "not(" * 150 + "a = 1" + ")" * 150,
        "(a = 1 or (" * 120 + "a = 1" + "))" * 120,
        " or ".join(["a = 1"] * 5000),
        "a = 1 " * 20_000,
        "a = '" + "x" * 200_000 + "'",
        "-" * 90_000,
        "`" * 90_001,
        "'" * 90_001,
        "a like '" + "%_" * 500 + "x'" + " and a" * 10_000,
    ],
    ids=range(12),
)
def test_hostile_text_is_refused_and_does_not_exhaust_the_stack(text: str) -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises(QueryError):
        parse_where(text)
    assert sys.getrecursionlimit() == limit


def test_ninety_levels_are_fine() -> None:
    parse_where("(" * 90 + "a = 1" + ")" * 90)
    parse_where("not " * 90 + "a = 1")


@pytest.mark.parametrize("given", [None, 5, b"a = 1", ["a = 1"]], ids=repr)
def test_other_types_are_refused(given: object) -> None:
    with pytest.raises(QueryError):
        parse_where(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("-", "a name"),
        ("a,", "a name"),
        (",a", "a name"),
        ("a b", "','"),
        ("-a desc", "once"),
        ("a > 1", "','"),
        ("params.", "unexpected"),
        ("max(params.x)", "is a param"),
        ("5", "a name"),
    ],
)
def test_order_by_says_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        parse_order_by(text)


@pytest.mark.parametrize("text", ["", "a b", "a,", "-a", "*", "max(a", "'a'"])
def test_columns_that_cannot_be_read(text: str) -> None:
    with pytest.raises(QueryError):
        parse_columns(text)
    with pytest.raises(QueryError):
        parse_columns(["ok", text])


def test_threads_may_parse_at_the_same_time() -> None:
    texts = [f"(a > {number} and `b {number}` < 1) or tag:t{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: str(parse_where(text)), texts))
    assert found == [str(parse_where(text)) for text in texts]
