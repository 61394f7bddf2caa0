"""The tasks of a developer: ``nox -s NAME``. `./scripts/test` runs the same ones in one environment."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "typing", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PACKAGES = {"runfolio", "runfolio_backends", "runfolio_plugins"}
OTHER_PLATFORMS = ("darwin", "win32")
SHIPPED = ("core", "backends", "plugins", "distributions")


def _install(session: nox.Session, *groups: str, extras: str = "testing") -> None:
    options = [part for group in groups for part in ("--group", group)]
    session.install("-e", f".[{extras}]", *options)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what follows `--` goes to pytest."""
    _install(session, "tests", "pytorch", "servers", "spark", "clusters", extras="testing,s3,azure")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(name="tests-minversion")
def tests_minversion(session: nox.Session) -> None:
    """Run the tests with the oldest versions of the dependencies that pyproject.toml admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = [re.sub(r">=([^,;\s]+).*", r"==\1", requirement) for requirement in project["dependencies"]]
    _install(session, "tests", "pytorch", "spark")
    session.install(*oldest)
    session.run("pytest", "-n", "2", "-m", "not source", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and import rules."""
    session.install("-e", ".", "--group", "lint")
    session.run("ruff", "check", "--output-format", "concise", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types with mypy, as each operating system sees the code, and with basedpyright."""
    _install(session, "typing", "quick", "pytorch", "servers", extras="testing,s3,azure")
    session.run("mypy")
    for platform in OTHER_PLATFORMS:
        # What ships, not its tests. What is unreachable there is what is for Linux.
        session.run("mypy", "--platform", platform, "--no-warn-unreachable", *SHIPPED)
    session.run("basedpyright", "--warnings")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".", "--group", "docs")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, and look at what is in the wheel."""
    session.install("build")
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    (wheel,) = (ROOT / "dist").glob("runfolio-*.whl")
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {name for name in top if not name.endswith(".dist-info")}
    if packages != PACKAGES:
        session.error(f"the wheel holds {sorted(packages)}, not {sorted(PACKAGES)}")
