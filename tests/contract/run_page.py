"""Runs the code blocks of one page of documentation, in order, in the current folder: ``python run_page.py PAGE.md``.

Blocks of a page build on each other. By the language of the fence:

==============================  =====================================================================================
``python``                      executed; all blocks of the page share one namespace
``ipython``                     a cell of a notebook, in a shell that shares this namespace
``pycon``                       a session with prompts, compared as doctest does
``console``                     each line that starts with ``$`` is a command, and must succeed
``sh``, ``bash``                one script, which must succeed
``sql``                         a query for DuckDB
``json``, ``toml``, ``yaml``    must parse
``text``, ``mermaid``           for the eye
==============================  =====================================================================================

A block whose first line is ``# file: NAME`` is written to that file instead of being run. A comment
``<!-- not run: REASON -->`` on the line before a block leaves it out (it must still be of a known language).
"""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent>[ >]*)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>\S.*?)\s*-->")
FILE = re.compile(r"#\s*file:\s*(?P<name>\S+)\s*")
KNOWN = {"python", "ipython", "pycon", "console", "sh", "bash", "sql", "json", "toml", "yaml", "text", "mermaid"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        language: first word after the fence.
        text: its contents.
        line: number of its first line in the page.
        left_out: the reason not to run it, or an empty text.
    """

    language: str
    text: str
    line: int
    left_out: str


def blocks_of(page: str) -> list[Block]:
    """Return the code blocks of a Markdown text; directives in braces are not code."""
    found = []
    lines = iter(enumerate(page.splitlines(), 1))
    previous = ""
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            previous = line if line.strip() else previous
            continue
        inside = []
        for _, inner in lines:
            if inner[len(opening["indent"]) :].rstrip() == opening["fence"]:
                break
            inside.append(inner.removeprefix(opening["indent"]) if inner.strip() else "")
        left_out = NOT_RUN.search(previous)
        previous = ""
        if not opening["info"].startswith("{"):
            text = textwrap.dedent("\n".join(inside)) + "\n"
            language = (opening["info"].split() or ["text"])[0]
            found.append(Block(language, text, number + 1, left_out["reason"] if left_out else ""))
    return found


def commands_of(session: str) -> list[str]:
    """Return the commands of a shown terminal session, with their continuation lines."""
    commands: list[str] = []
    going_on = False
    for line in session.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif going_on:
            commands[-1] += "\n" + line
        going_on = bool(commands) and line.endswith("\\") and (going_on or line.startswith("$ "))
    return commands


def parse(language: str, text: str) -> None:
    """Raise if a piece of data is not what it says it is."""
    if language == "json":
        json.loads(text)
    elif language == "toml":
        tomllib.loads(text)
    elif language == "yaml":
        import yaml

        yaml.safe_load(text)


def run(block: Block, page: Path, namespace: dict[str, object]) -> None:
    """Run one block."""
    file = FILE.match(block.text)
    if file is not None:
        parse(block.language, block.text)
        target = Path(file["name"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text[file.end() :], encoding="utf-8")
    elif block.language == "python":
        # Empty lines before it make the line numbers of a traceback those of the page.
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
    elif block.language == "ipython":
        from IPython.core.interactiveshell import InteractiveShell

        InteractiveShell.instance(user_ns=namespace).run_cell(block.text).raise_error()
    elif block.language == "pycon":
        example = doctest.DocTestParser().get_doctest(block.text, namespace, page.name, str(page), block.line)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        if runner.run(example, clear_globs=False).failed:
            raise AssertionError
        namespace.update(example.globs)
    elif block.language in {"sh", "bash"}:
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=True)
    elif block.language == "console":
        for command in commands_of(block.text):
            print("$", command, flush=True)
            subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True)
    elif block.language == "sql":
        import duckdb

        print(duckdb.sql(block.text))
    else:
        parse(block.language, block.text)


def main(page: Path) -> None:
    """Run a page."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language not in KNOWN:
            message = f"{page}:{block.line}: unknown language {block.language!r}; known are {', '.join(sorted(KNOWN))}"
            raise SystemExit(message)
        if block.left_out:
            continue
        try:
            run(block, page, namespace)
        except Exception as error:
            error.add_note(f"in the block at {page}:{block.line}")
            raise


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
