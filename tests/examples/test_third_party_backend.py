"""The example of a backend by somebody else, as that somebody has it: two wheels in an environment of their own.

Nothing of the source tree can be reached from there, so the wheel alone is enough to use the kit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "third_party_backend"
LIMIT = 280

pytestmark = [pytest.mark.source, pytest.mark.slow]


class Elsewhere:
    """An environment with our wheel and that of the example, and a folder with the tests of the example."""

    def __init__(self, root: Path) -> None:
        self.work = root / "work"
        self.work.mkdir()
        shutil.copytree(EXAMPLE / "tests", self.work / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(EXAMPLE / "pyproject.toml", self.work)
        venv.create(root / "venv", with_pip=False)
        self.python = root / "venv" / "bin" / "python"
        self.packages = next((root / "venv" / "lib").glob("python*")) / "site-packages"
        # What both depend on comes from the environment of these tests; their own packages do not.
        shared = [path for path in sys.path if Path(path).name == "site-packages"]
        (self.packages / "dependencies.pth").write_text("\n".join(shared))
        wheels = [build(ROOT, root / "wheels"), build(EXAMPLE, root / "wheels")]
        install = ["-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([sys.executable, *install, "--disable-pip-version-check", *wheels], check=True, timeout=LIMIT)

    def run(self, *arguments: str) -> str:
        """Run Python there and return what it prints."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.work,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


def build(project: Path, folder: Path) -> str:
    """Build the wheel of a project."""
    builder = pytest.importorskip("hatchling.builders.wheel")
    (wheel,) = builder.WheelBuilder(str(project)).build(directory=str(folder), versions=["standard"])
    return str(wheel)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """Make the environment once."""
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"))


def test_nothing_of_the_source_tree_is_reached(elsewhere: Elsewhere) -> None:
    program = (
        "import sys, runfolio, runfolio_backends, runfolio_lmdb, runfolio.testing.conformance as kit\n"
        "modules = runfolio, runfolio_backends, runfolio_lmdb, kit\n"
        "print(*[module.__file__ for module in modules], *sys.path, sep='\\n')"
    )
    *files, _ = elsewhere.run("-I", "-c", program).split("\n")
    assert all(file.startswith(str(elsewhere.packages)) for file in files[:4]), files
    assert [path for path in files if path.startswith(str(ROOT)) and "site-packages" not in path] == []


def test_its_tests_pass_the_kit_included(elsewhere: Elsewhere) -> None:
    printed = elsewhere.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests")
    assert "passed" in printed
    assert "skipped" not in printed


def test_the_command_line_works_with_it(elsewhere: Elsewhere) -> None:
    store = f"lmdb://{elsewhere.work}/history"
    (elsewhere.work / "train.py").write_text(
        "import runfolio as rf\nrf.get_logger().log('loss', 0.5)\nopen('outputs/model.txt', 'w').write('m')\n"
    )
    runfolio = ("-m", "runfolio_plugins.cli")
    assert "create only if absent" in elsewhere.run(*runfolio, "store", "check", "--store", store)
    assert "RunId:" in elsewhere.run(*runfolio, "run", "--store", store, "--no-system-metrics", "train.py")
    assert '"Completed"' in elsewhere.run(*runfolio, "last", "--store", store, "-o", "json")
    assert "model.txt" in elsewhere.run(*runfolio, "info", "--store", store, "-r", "last", "-o", "json")
