"""Every code block of the documentation works, and every page can be found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNNER = Path(__file__).with_name("run_page.py")
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]


def name_of(page: Path) -> str:
    """Return how a page is called in reports."""
    return str(page.relative_to(ROOT))


LONG = {"assets.md", "command-line.md", "quickstart.md", "workbench.md", "tracked-runs.md"}
"""Pages whose blocks start many processes: left out of the quick run."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.name in LONG else [], id=name_of(page)) for page in PAGES],
)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(page)],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS in page.parents], ids=name_of)
def test_each_page_is_in_a_table_of_contents(page: Path) -> None:
    """A page nobody can reach is a page nobody keeps up."""
    name = str(page.relative_to(DOCS).with_suffix(""))
    if name == "index":
        return
    listed = set()
    for other in PAGES:
        if DOCS not in other.parents:
            continue
        text = other.read_text(encoding="utf-8")
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            entries = [re.sub(r".*<(.*)>", r"\1", line.strip()) for line in tree.splitlines()]
            folder = other.parent.relative_to(DOCS)
            for entry in entries:
                if not entry or entry.startswith(":"):
                    continue
                if "*" in entry:
                    listed |= {str(path.relative_to(DOCS).with_suffix("")) for path in other.parent.glob(entry + ".md")}
                else:
                    listed.add(str(folder / entry))
    assert name in listed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        if target.startswith(("core/", "backends/", "plugins/", "benchmarks/", "scripts/", "changes/", "LICENSE")):
            continue  # the source tree is not there when the wheel is tested
        assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize(
    ("block", "works"),
    [
        ("```python\nassert 1 + 1 == 2\n```", True),
        ("```python\nassert 1 + 1 == 3\n```", False),
        ("```python\nx = 1\n```\n\n```python\nassert x == 1\n```", True),
        ("```python\nx = 1\n```\n\n```ipython\nassert x == 1\n%who\n```", True),
        ("```ipython\n%no_such_magic\nassert False\n```", False),
        ("```pycon\n>>> 1 + 1\n2\n```", True),
        ("```pycon\n>>> 1 + 1\n3\n```", False),
        ("```console\n$ true\nshown output\n$ test \\\n    1 = 1\n```", True),
        ("```console\n$ true\n$ false\n```", False),
        ("```sh\nfalse\ntrue\n```", False),
        ("```json\n{'a': 1}\n```", False),
        ("```toml\na = 1\n```", True),
        ("```python\n# file: there/x.py\nraise SystemExit\n```\n```console\n$ test -s there/x.py\n```", True),
        ("<!-- not run: needs a bucket -->\n```python\nraise SystemExit\n```", True),
        ("<!-- not run: -->\n```python\nraise SystemExit(1)\n```", False),
        ("```pyhton\n```", False),
        ("- a list\n\n  ```python\n  if True:\n      pass\n  ```", True),
        ("```{toctree}\nnot code\n```", True),
    ],
)
def test_the_runner_tells_good_from_bad(block: str, works: bool, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(block, encoding="utf-8")
    done = subprocess.run([sys.executable, str(RUNNER), str(page)], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) is works, done.stderr.decode()
