"""Tests that use a store run on each kind of store, what limits them has a reason, and both are counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVERS = Path(__file__).parents[1] / "servers"

SAMPLE = """
import pytest

def test_without_a_store():
    pass

def test_anywhere(store_url):
    assert store_url

@pytest.mark.local_only("it looks at files")
@pytest.mark.parametrize("number", [1, 2])
def test_files(store_url, number):
    assert store_url.startswith("/")

@pytest.mark.local_only("it looks at files")
def test_own_folder():
    pass

@pytest.mark.memory_only("a scheduler has it in its hand")
def test_schedule(store_url):
    assert store_url.startswith("memory://")

@pytest.mark.not_in_memory("other processes")
def test_processes(store_url):
    assert not store_url.startswith("memory://")

@pytest.mark.clouds_on_request("slow there")
def test_many(store_url):
    assert store_url

@pytest.fixture
def s3_store():
    return Place("s3://bucket/x")

@pytest.fixture
def azure_store():
    return Place("az://container/x")

class Place:
    def __init__(self, url):
        self.url = url
"""


@pytest.mark.parametrize(
    ("options", "stores"),
    [
        ("-n 2", "local 6, memory 3, s3 2, azure 2"),
        ("-n 0 --store all", "local 6, memory 3, s3 3, azure 3"),
        ("-n 0 --store local --store s3", "local 6, memory 0, s3 3, azure 0"),
    ],
)
def test_counts_by_kind(options: str, stores: str) -> None:
    Path("test_sample.py").write_text(SAMPLE, encoding="utf-8")
    code, lines = tried(*options.split())
    assert code == 0
    assert f"stores: {stores}" in lines
    assert lines[lines.index("local_only: 3") + 1].split(maxsplit=1) == ["3", "it looks at files"]
    assert lines[lines.index("clouds_on_request: 1") + 1].split(maxsplit=1) == ["1", "slow there"]


def test_a_limit_without_a_reason_is_refused() -> None:
    marks = [
        f"{name}{reason}"
        for name in ("local_only", "memory_only", "not_in_memory", "clouds_on_request")
        for reason in ("", "()", "('')", "('  ')", "(7)", "('a', 'b')", "(reason='a')")
    ]
    for number, mark in enumerate(marks):
        module = f"import pytest\n@pytest.mark.{mark}\ndef test_one(store_url):\n    pass\n"
        Path(f"test_{number}.py").write_text(module, encoding="utf-8")
    Path("test_right.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    code, lines = tried("--continue-on-collection-errors")
    assert code != 0
    assert len({line for line in lines if line.startswith("ERROR ") and "wants a reason" in line}) == len(marks)
    assert "1 passed" in lines[-1]
    assert f"{len(marks)} errors" in lines[-1]


def test_nothing_is_said_where_no_test_uses_a_store() -> None:
    Path("test_sample.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    code, lines = tried()
    assert code == 0
    assert not any(line.startswith("stores:") for line in lines)


def tried(*options: str) -> tuple[int, list[str]]:
    """Run the tests of the current folder with the mechanism; return the exit code and what pytest printed."""
    plugins = ("-p", "no:cacheprovider", "-p", "store_kinds", "-W", "ignore::pytest.PytestUnknownMarkWarning")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        env={**os.environ, "PYTHONPATH": str(SERVERS)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()
