"""Every hook is documented with the arguments it has, and its docstring says what an author must know."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from runfolio import hookspecs

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "extending" / "hooks.md"
TESTS = Path(__file__).parents[1]


def specifications() -> dict[str, str]:
    """Return each hook with its argument names, as a heading of the documentation shows it."""
    found = {}
    for owner in (hookspecs, *(value for value in vars(hookspecs).values() if inspect.isclass(value))):
        for name, function in vars(owner).items():
            if name.startswith("runfolio_") and inspect.isfunction(function):
                arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
                found[name] = f"{name}({', '.join(arguments)})"
    return found


def test_there_are_hooks() -> None:
    assert "runfolio_register_backends" in specifications()


@pytest.mark.parametrize("name", specifications())
def test_each_hook_is_on_the_page_with_its_arguments(name: str) -> None:
    headings = re.findall(r"^#+ `(runfolio_[^`]*)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert specifications()[name] in headings


def test_the_page_describes_no_hook_that_does_not_exist() -> None:
    headings = re.findall(r"^#+ `(runfolio_\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == set(specifications())


@pytest.mark.parametrize("name", specifications())
def test_each_hook_says_when_in_which_thread_and_whether_it_may_raise(name: str) -> None:
    function = next(
        getattr(owner, name)
        for owner in (hookspecs, *(value for value in vars(hookspecs).values() if inspect.isclass(value)))
        if name in vars(owner)
    )
    text = " ".join((function.__doc__ or "").lower().split())
    assert text, "no docstring"
    assert "thread" in text
    assert "rais" in text or "exception" in text


@pytest.mark.parametrize("name", specifications())
def test_each_hook_is_tried_by_a_test(name: str) -> None:
    own = Path(__file__)
    assert any(name in path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py") if path != own), (
        f"no test mentions {name}"
    )
