"""Packs: what goes in comes out, and a hostile one neither passes nor costs memory."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.errors import FormatError
from runfolio.snapshot.objects import BLOB_TYPE, object_id
from runfolio.snapshot.packing import PackWriter, open_pack

if TYPE_CHECKING:
    from pathlib import Path


def pack_of(folder: Path, *contents: bytes) -> Path:
    with PackWriter(folder) as writer:
        for content in contents:
            writer.add(object_id(BLOB_TYPE, content), BLOB_TYPE, content)
        return writer.finish()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=2000), max_size=8))
def test_what_goes_in_comes_out(tmp_path: Path, contents: list[bytes]) -> None:
    pack = open_pack(pack_of(tmp_path, *contents))
    assert {sha: pack.read(sha) for sha in pack.places} == {object_id(BLOB_TYPE, one): one for one in contents}


def test_the_same_objects_make_the_same_pack(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert pack_of(tmp_path, b"1", b"2").name == pack_of(tmp_path / "a", b"1", b"2").name


def test_an_object_that_fails_leaves_the_pack_whole(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"half"
        raise OSError("gone")

    with PackWriter(tmp_path) as writer:
        writer.add(object_id(BLOB_TYPE, b"1"), BLOB_TYPE, b"1")
        with pytest.raises(OSError, match="gone"):
            writer.add_compressed("f" * 40, BLOB_TYPE, 4, broken())  # type: ignore[arg-type]  # an iterator of bytes
        writer.add(object_id(BLOB_TYPE, b"2"), BLOB_TYPE, b"2")
        path = writer.finish()
    assert len(open_pack(path).places) == 2


def test_nothing_is_left_of_a_pack_that_was_given_up(tmp_path: Path) -> None:
    with PackWriter(tmp_path) as writer:
        writer.add(object_id(BLOB_TYPE, b"1"), BLOB_TYPE, b"1")
    assert list(tmp_path.iterdir()) == []


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def written(folder: Path, header: bytes, compressed: bytes, count: int = 1) -> Path:
    path = folder / "hostile.pack"
    path.write_bytes(sealed(b"PACK\0\0\0\2" + count.to_bytes(4, "big") + header + compressed))
    return path


@pytest.mark.parametrize("cut", [0, 4, 12, 20, 30, -1])
def test_a_pack_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = pack_of(tmp_path, b"x" * 100, b"y" * 100)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError):
        open_pack(path)


@pytest.mark.parametrize("place", [5, 11, 13, 40, -1])
def test_a_changed_byte_is_noticed(tmp_path: Path, place: int) -> None:
    path = pack_of(tmp_path, os.urandom(200))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError):
        open_pack(path)


def test_a_bomb_does_not_expand_beyond_what_it_says(tmp_path: Path) -> None:
    """100 MB of zeros that say of themselves to be 10 bytes."""
    path = written(tmp_path, bytes([BLOB_TYPE << 4 | 10]), zlib.compress(b"\0" * 100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="not as long"):
            open_pack(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_large_object_is_read_in_flat_memory(tmp_path: Path) -> None:
    path = pack_of(tmp_path, b"\0" * 50_000_000)
    tracemalloc.start()
    try:
        pack = open_pack(path)
        assert sum(len(chunk) for sha in pack.places for chunk in pack.chunks(sha)) == 50_000_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        bytes([6 << 4 | 1]),  # a delta
        bytes([7 << 4 | 1]),
        bytes([0 << 4 | 1]),
        bytes([4 << 4 | 1]),  # a tag
        bytes([BLOB_TYPE << 4 | 0x8F, *[0xFF] * 6, 0x7F]),  # 2^53 bytes
        bytes([BLOB_TYPE << 4 | 0x8F, *[0xFF] * 20, 0x7F]),
        bytes([2 << 4 | 0x80, 0x80, 0x80, 0x80, 0x7F]),  # a tree of some 34 GB
    ],
)
def test_what_ours_never_hold_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(FormatError):
        open_pack(written(tmp_path, header, zlib.compress(b"x")))


def test_a_count_that_is_too_small_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="more than it says"):
        open_pack(written(tmp_path, bytes([BLOB_TYPE << 4 | 1]), zlib.compress(b"x") + b"more"))


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pack"
    path.write_bytes(b"PACK\0\0\0\3" + b"\0" * 30)
    with pytest.raises(FormatError, match="no pack"):
        open_pack(path)
