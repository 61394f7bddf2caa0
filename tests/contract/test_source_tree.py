"""The tree holds what it should: nothing of one machine, and one kind of name."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("runfolio", "runfolio_backends", "runfolio_plugins")
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}
LONGEST_MODULE = 600

pytestmark = pytest.mark.source


def tracked() -> list[Path]:
    """Return the files of the project: those in git, and new ones that are not ignored."""
    listing = subprocess.run(
        ["git", "-c", "core.quotepath=off", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def text_of(path: Path) -> str:
    """Return the contents of a text file, and nothing for others."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


# Spelt in parts, so that this file does not find itself.
ONE_MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.$}>)\]])/" + r"work/(?:main|shared|venv)\b",
            r"(?<![\w.$}>)\]])/" + r"root/(?!\*)[\w.]",
            r"(?<![\w.$}>)\]])/" + r"home/(?!me\b|user\b|you\b|ada\b|ann\b)\w+/",
            r"(?<![\w.])/" + r"Users/(?!me\b|you\b|ada\b)\w+/",
            r"\bindex" + r"-url\b",
            r"files\.python" + r"hosted\.org",
            r"registry\.npm" + r"js\.org",
            r"deb\.deb" + r"ian\.org",
        ]
    )
)


def test_nothing_names_one_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in tracked()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if ONE_MACHINE.search(line)
    ]
    assert found == []


def modules() -> list[Path]:
    """Return the Python files of the three packages."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[1:2] in [(name,) for name in PACKAGES]
    ]


def test_names_say_what_a_module_is_about() -> None:
    parts = {part for path in modules() for part in (path.stem, *path.relative_to(ROOT).parts[2:-1])}
    assert parts & VAGUE == set()


def test_no_module_holds_two_subjects() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := len(text_of(path).splitlines())) > LONGEST_MODULE
    }
    assert long == {}


def test_source_roots_are_no_packages() -> None:
    """`import core` must never succeed: it would give every class a twin."""
    for name in ("core", "backends", "plugins", "tests"):
        assert not (ROOT / name / "__init__.py").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "changes").glob("*")), ids=lambda path: path.name)
def test_fragments_are_named_so_that_they_are_found(path: Path) -> None:
    kinds = [kind["directory"] for kind in settings()["tool"]["towncrier"]["type"]]
    assert path.name == "README.md" or re.fullmatch(rf"\d+\.({'|'.join(kinds)})(\.\d+)?\.md", path.name)


def settings() -> dict[str, dict[str, dict[str, list[dict[str, str]]]]]:
    """Return what pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_each_ignored_lint_rule_has_its_reason_on_its_line() -> None:
    section = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.ruff.lint]")[1].split("\n[tool.")
    lines = [line for part in section[:2] for line in part.splitlines() if re.match(r'\s*"[A-Z]+[0-9]*",', line)]
    assert len(lines) > 20
    assert [line for line in lines if "#" not in line] == []


SUPPRESSION = re.compile(
    r"#\s*(?:noqa|type:\s*ignore)(?P<codes>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[a-z, -]+\])?(?P<rest>.*)"
)


def test_each_suppression_names_a_rule_and_says_why_once_in_its_file() -> None:
    """Where one reason holds for several lines of a file, the first line gives it."""
    missing = []
    for path in modules():
        given: set[str] = set()
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for found in SUPPRESSION.finditer(line):
                codes = set(re.findall(r"[\w-]+", found["codes"] or ""))
                if len(found["rest"].strip(" #")) > 1:
                    given |= codes
                elif not codes or not codes <= given:
                    missing.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert missing == []


@pytest.mark.slow
def test_the_wheel_holds_exactly_three_typed_packages(tmp_path: Path) -> None:
    """Also: the licence, and nothing of the tests or of the three folders' names."""
    builder = pytest.importorskip("hatchling.builders.wheel")
    (built,) = builder.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(built).namelist()
    assert set(PACKAGES) == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names if ".dist-info/" in name}
    sources = {str(path.relative_to(ROOT).relative_to(path.relative_to(ROOT).parts[0])) for path in modules()}
    assert sources <= set(names)
