"""Frames come back whatever happens to the bytes around them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runfolio.journal import frames, reader
from runfolio.journal.frames import Extended
from runfolio.journal.reader import JournalReader
from runfolio.journal.scan import Gap, Rest, Run, scan

SALT = 0xDEADBEEF


@dataclass(frozen=True)
class Record:
    """A frame and how it reads back."""

    data: bytes
    result: object


def _fixed(name: int, step: int, value: float) -> Record:
    kind = frames.FLOAT if type(value) is float else frames.INT
    data = frames.fixed(kind, name, step, 123, value, salt=SALT)
    return Record(data, data)


def _extended(kind: int, name: int, payload: bytes) -> Record:
    data = frames.extended(kind, name, payload, SALT)
    return Record(data, (kind, name, payload))


fixed = st.builds(
    _fixed,
    st.integers(0, 2**16 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.floats() | st.integers(-(2**63), 2**63 - 1),
)
extended = st.builds(
    _extended,
    st.sampled_from([frames.NAME, frames.TEXT, frames.LIST_FLOAT, frames.COLUMNS, frames.EVENT, frames.MARK]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=60) | st.binary(min_size=200, max_size=400),
)
# Long stretches of one sort are what the reader takes in one go.
records = st.lists(
    st.lists(fixed, min_size=1, max_size=40) | st.lists(extended, min_size=1, max_size=3), max_size=6
).map(lambda parts: [one for part in parts for one in part])


def read_back(data: bytes, *, verify: bool = True) -> tuple[list[object], Rest]:
    found: list[object] = []
    rest = None
    for piece in scan(memoryview(data), SALT, verify=verify, final=True):
        assert rest is None, "a Rest is the last piece"
        if isinstance(piece, Run):
            assert len(piece.data) == piece.count * frames.FIXED_SIZE
            found += [bytes(piece.data[k : k + 32]) for k in range(0, len(piece.data), 32)]
        elif isinstance(piece, Extended):
            found.append((piece.type, piece.name, bytes(piece.payload)))
        elif isinstance(piece, Rest):
            rest = piece
        else:
            assert isinstance(piece, Gap)
    assert rest is not None
    return found, rest


@given(records, st.booleans())
def test_any_sequence_comes_back(sequence: list[Record], verify: bool) -> None:
    data = b"".join(one.data for one in sequence)
    found, rest = read_back(data, verify=verify)
    assert [one.result for one in sequence] == found
    assert len(data) == rest.offset


@given(records, st.data())
def test_a_torn_tail_is_cut(sequence: list[Record], draw: st.DataObject) -> None:
    data = b"".join(one.data for one in sequence)
    end = draw.draw(st.integers(0, len(data)))
    expected, offset = [], 0
    for one in sequence:
        offset += len(one.data)
        if offset <= end:
            expected.append(one.result)
    assert expected == read_back(data[:end])[0]


@given(records.filter(bool), st.data())
def test_a_changed_byte_costs_its_record_only(sequence: list[Record], draw: st.DataObject) -> None:
    data = bytearray(b"".join(one.data for one in sequence))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    expected, offset = [], 0
    for one in sequence:
        if not offset <= at < offset + len(one.data):
            expected.append(one.result)
        offset += len(one.data)
    assert expected == read_back(bytes(data))[0]


@given(records, st.data())
def test_stray_bytes_are_skipped(sequence: list[Record], draw: st.DataObject) -> None:
    """A short write leaves a part of a record, and what follows it unaligned."""
    place = draw.draw(st.integers(0, len(sequence)))
    torn = draw.draw(fixed | extended).data
    end = draw.draw(st.integers(0, len(torn) - 1))
    stray = draw.draw(st.binary(max_size=50) | st.just(torn[:end]))
    parts = [one.data for one in sequence]
    # Bytes that happen to complete the torn record do complete it.
    assume(not b"".join(parts[place:]).startswith(torn[end:]))
    data = b"".join([*parts[:place], stray, *parts[place:]])
    assert [one.result for one in sequence] == read_back(data)[0]


def test_frames_of_another_journal_do_not_pass() -> None:
    ours = frames.fixed(frames.FLOAT, 1, 2, 3, 4.0, salt=SALT)
    foreign = frames.fixed(frames.FLOAT, 1, 2, 3, 4.0, salt=SALT + 1)
    text = frames.extended(frames.TEXT, 1, foreign + ours, SALT + 1)
    assert read_back(foreign + ours + foreign)[0] == [ours]
    # Only bytes made with this file's salt would be taken for records, and nobody who logs a text knows it.
    assert read_back(frames.extended(frames.TEXT, 1, text, SALT))[0] == [(frames.TEXT, 1, text)]


def test_a_long_damaged_stretch_is_passed_quickly() -> None:
    ours = frames.fixed(frames.FLOAT, 1, 2, 3, 4.0, salt=SALT)
    for stray in (bytes(2_000_001), b"\x04\x01" * 100_001, b"\x00\x10\x00\x00" * 50_001):
        found, rest = read_back(ours + stray + ours)
        assert found == [ours, ours]
        assert rest.offset == len(stray) + 2 * len(ours)


@settings(max_examples=40)
@given(records, st.integers(24, 300), st.integers(0, 40), st.data())
def test_windows_of_any_size_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Record], window: int, cut: int, draw: st.DataObject
) -> None:
    """The reader takes the file in pieces; frames across their borders are whole, with and without verification."""
    names = [one for one in sequence if not isinstance(one.result, tuple)]  # rows only: payloads here are not real ones
    data = b"".join(one.data for one in names)
    torn = data[: max(len(data) - cut, 0)]
    folder: Path = tmp_path_factory.mktemp("journal")
    (folder / f"rows-{SALT:08x}.log").write_bytes(torn)
    expected = len(torn) // frames.FIXED_SIZE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_WINDOW", window)
        patch.setattr(reader, "_FIRST_WINDOW", min(window, 40))
        patch.setattr(reader, "_MARK_EVERY", draw.draw(st.integers(32, 2000)))
        verify = draw.draw(st.booleans())
        found = JournalReader(folder, lambda: verify)
        assert expected == found.advance()
        first = draw.draw(st.integers(0, expected))
        after = draw.draw(st.integers(first, expected))
        table = found.rows(first, after).table()
    steps = [struct.unpack_from("<q", one.data, 8)[0] for one in names]
    assert steps[first:after] == table.column("step").to_pylist()
