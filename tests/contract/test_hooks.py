"""Every hook is documented with its arguments, its docstring says what an author must know, and a test tries it."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runfolio import hookspecs
from runfolio.plugins import Plugins

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "extending" / "hooks.md"
TESTS = Path(__file__).parents[1]
REGISTERING = {"runfolio_register_backends", "runfolio_register_targets"}


def specifications() -> dict[str, list[str]]:
    """Return each hook with the names of its arguments."""
    return {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if name.startswith("runfolio_") and inspect.isfunction(function)
    }


def sections() -> dict[str, tuple[list[str], str]]:
    """Return what the page has: each hook with the arguments in its heading, and the text below it."""
    found = {}
    for part in re.split(r"^#+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        heading = re.match(r"`(runfolio_\w+)\(([^)]*)\)`\n", part)
        if heading is not None:
            arguments = [word.strip() for word in heading[2].split(",") if word.strip()]
            found[heading[1]] = (arguments, part[heading.end() :])
    return found


@cache
def implementations() -> dict[str, list[list[str]]]:
    """Return the implementations of hooks in the tests of this project: each with the arguments that it takes."""
    found: dict[str, list[list[str]]] = {}
    for path in TESTS.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and "hookimpl" in text:
            for name, arguments in implemented_in(text):
                found.setdefault(name, []).append(arguments)
    return found


def implemented_in(text: str) -> list[tuple[str, list[str]]]:
    """Return the implementations in one module: decorated functions, and `name=hookimpl(function)`."""
    nodes = [*ast.walk(ast.parse(text))]
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    named = {ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    found: list[tuple[str, list[str]]] = []
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("runfolio_"):
            if any("hookimpl" in ast.unparse(decorator) for decorator in node.decorator_list):
                found.append((node.name, arguments_of(node)))
        elif isinstance(node, ast.keyword) and (node.arg or "").startswith("runfolio_"):
            given = named.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if isinstance(given, ast.Call) and "hookimpl" in ast.unparse(given.func) and given.args:
                marked = given.args[0]
                function = functions.get(marked.id) if isinstance(marked, ast.Name) else marked
                if isinstance(function, ast.FunctionDef | ast.Lambda):
                    found.append((str(node.arg), arguments_of(function)))
    return found


def arguments_of(function: ast.FunctionDef | ast.Lambda) -> list[str]:
    """Return the names of the arguments, those of methods without `self`."""
    return [one.arg for one in function.args.args if one.arg != "self"]


def test_there_are_hooks() -> None:
    assert REGISTERING < set(specifications())


@pytest.mark.parametrize("name", specifications())
def test_each_hook_is_on_the_page_with_its_arguments(name: str) -> None:
    arguments, text = sections()[name]
    assert specifications()[name] == arguments
    # The part "Life of a run" explains `run` for all of its hooks, and each names it.
    assert [argument for argument in arguments if not re.search(rf"`{argument}\b", text)] == []


def test_the_page_describes_no_hook_that_does_not_exist() -> None:
    assert set(sections()) == set(specifications())


@pytest.mark.parametrize("name", specifications())
def test_each_hook_says_when_in_which_thread_and_whether_it_may_raise(name: str) -> None:
    text = " ".join((getattr(hookspecs, name).__doc__ or "").lower().split())
    assert text, "no docstring"
    assert "when:" in text
    assert "thread:" in text
    assert "may raise:" in text


@pytest.mark.parametrize("name", specifications())
def test_each_hook_is_tried_by_a_test(name: str) -> None:
    """Some test implements it, and no test implements it with arguments that it does not have."""
    tried = implementations().get(name, [])
    assert tried, f"no test implements {name}"
    # Those that a test gets wrong on purpose are refused when they are registered, and prove nothing here.
    assert [arguments for arguments in tried if set(arguments) <= set(specifications()[name])]


@pytest.mark.parametrize("name", specifications())
def test_each_hook_hands_over_all_its_arguments(name: str) -> None:
    arguments = specifications()[name]
    heard: list[dict[str, Any]] = []
    namespace: dict[str, Any] = {"heard": heard}
    exec(f"def listen({', '.join(arguments)}): heard.append(dict(locals()))", namespace)
    plugin = SimpleNamespace(__name__="listener", **{name: hookspecs.hookimpl(namespace["listen"])})
    plugins = Plugins(disabled=["*"], extra=[plugin])
    given = {argument: object() for argument in arguments}
    if name in REGISTERING:
        assert {} == plugins.registry(name)
        assert [arguments] == [list(one) for one in heard]
        return
    getattr(plugins.hook, name)(**given)
    plugins.notify(name, **given)
    assert [given, given] == heard


def test_a_hook_without_a_test_would_be_noticed() -> None:
    """A mention is no test: only implementations count."""
    mention = "# runfolio_run_started\nname = 'runfolio_run_started'\ndef runfolio_run_started(run): ...\n"
    assert implemented_in(mention) == []
    decorated = "class Plugin:\n    @hookimpl\n    def runfolio_run_started(self, run): ...\n"
    assert implemented_in(decorated) == [("runfolio_run_started", ["run"])]
    handed = "def f(artifact): ...\nSimpleNamespace(runfolio_render_artifact=hookimpl(f))\n"
    assert implemented_in(handed) == [("runfolio_render_artifact", ["artifact"])]
