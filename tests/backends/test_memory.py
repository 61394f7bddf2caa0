"""The memory backend beyond the kit."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from runfolio.errors import ConfigurationError, NotFoundError
from runfolio_backends.memory import MemoryBackend


def test_a_name_is_a_store() -> None:
    one, same, other = MemoryBackend("memory://x-1"), MemoryBackend("x-1"), MemoryBackend("memory://x-2")
    one.put("k", b"1")
    assert same.get("k") == b"1"
    with pytest.raises(NotFoundError):
        other.get("k")
    assert same.url == "memory://x-1"
    assert pickle.loads(pickle.dumps(one)).get("k") == b"1"
    one.clear()
    assert [*same.list()] == []


def test_other_processes_have_their_own() -> None:
    backend = MemoryBackend("memory://private")
    backend.put("k", b"1")
    assert not backend.capabilities.shared
    code = "from runfolio_backends.memory import MemoryBackend; print(list(MemoryBackend('memory://private').list()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_its_clock() -> None:
    backend = MemoryBackend("memory://clock", clock=lambda: 1_000_000.0)
    backend.put("k", b"")
    modified = backend.stat("k").modified
    assert modified is not None
    assert modified.timestamp() == 1_000_000.0


def test_what_was_stored_does_not_change_with_the_callers_buffer() -> None:
    backend, data = MemoryBackend("memory://buffer"), bytearray(b"abc")
    backend.put("k", data)  # type: ignore[arg-type]  # callers may well pass one
    data[:] = b"xyz"
    assert backend.get("k") == b"abc"


@pytest.mark.parametrize("url", ["memory://", "", "s3://x"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(ConfigurationError):
        MemoryBackend(url)
