"""With RUNFOLIO_REQUIRE_ALL=1 nothing is left out unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
FIXTURES = CONFTEST.with_name("servers")

SKIPS = """
import pytest

def test_lacks_a_program():
    pytest.skip("no such program")

@pytest.mark.skipif(True, reason="never wanted")
def test_marked():
    pass

@pytest.mark.skip(reason="platform: needs Windows")
def test_of_another_system():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False

def test_fine():
    pass
"""


@pytest.mark.parametrize(
    ("required", "outcome"),
    [("0", "1 passed, 3 skipped, 1 xfailed"), ("1", "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error")],
)
def test_a_skip_is_a_failure_when_everything_is_required(required: str, outcome: str) -> None:
    assert outcome in report_of(SKIPS, required)


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_module_that_is_left_out_is_one_too(required: str, outcome: str) -> None:
    assert outcome in report_of('import pytest\npytest.importorskip("no_such_module_anywhere")\n', required)


def report_of(module: str, required: str) -> str:
    """Run a module of tests under the rules of this suite and return the last lines that pytest prints."""
    shutil.copy(CONFTEST, "conftest.py")
    Path("test_sample.py").write_text(module, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_sample.py"],
        env={**os.environ, "RUNFOLIO_REQUIRE_ALL": required, "PYTHONPATH": str(FIXTURES)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(done.stdout.splitlines()[-3:])
