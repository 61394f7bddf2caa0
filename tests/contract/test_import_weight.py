"""`import runfolio` stays light: whoever embeds it pays for pyarrow and the clouds only when they are used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "adlfs",
    "aiohttp",
    "azure",
    "boto3",
    "botocore",
    "click",
    "dash",
    "duckdb",
    "dulwich",
    "fsspec",
    "hypothesis",
    "jmespath",
    "lark",
    "matplotlib",
    "numpy",
    "pandas",
    "psutil",
    "pyarrow",
    "pytest",
    "requests",
    "rich",
    "runfolio_backends",
    "runfolio_plugins",
    "s3fs",
    "sklearn",
}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level names of what a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nimport json\nprint(json.dumps([name.split('.')[0] for name in sys.modules]))"
    # -I: no current folder and no user site, as little as an embedder may have.
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    ["import runfolio", "from runfolio import start_run, get_logger, open_history", "import runfolio.errors"],
)
def test_importing_the_sdk_loads_nothing_heavy(statement: str) -> None:
    assert HEAVY & loaded_by(statement) == set()


def test_importing_the_sdk_touches_no_process_globals() -> None:
    """No signal handler, no hook, no logging configuration, no thread: a host process keeps what it had."""
    program = """
import atexit, logging, os, signal, sys, threading
def state():
    return (
        [signal.getsignal(number) for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})],
        sys.excepthook, sys.unraisablehook, threading.excepthook, sys.path[:], dict(os.environ), os.getcwd(),
        logging.root.handlers[:], logging.root.level, logging.getLogger("runfolio").handlers[:],
        logging.getLogger("runfolio").level, threading.active_count(), atexit._ncallbacks(),
    )
import collections.abc, concurrent.futures
before = state()
import runfolio
assert state() == before, [pair for pair in zip(before, state()) if pair[0] != pair[1]]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
