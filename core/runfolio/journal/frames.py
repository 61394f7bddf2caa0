"""The records of a journal file, as bytes.

Every record is a *frame* whose length is a multiple of 8 bytes. A float, int or bool is a **fixed frame** of 32 bytes::

    u32 crc | u8 words = 4 | u8 type | u16 name id | i64 step | i64 time in ns | f64 or i64 value

Everything else is an **extended frame** of 24 bytes and a payload, padded with zeros::

    u32 crc of the header | u8 words = 0 | u8 type | u16 zero | u32 name id | u32 crc of the payload | u64 length of
    the payload

Numbers are little-endian. Each file has its own random *salt* (in its name), the start value of every crc: bytes that
come from elsewhere never pass for a frame. A name is given its id by a NAME frame before its first use.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

FIXED_SIZE: Final = 32
FIXED_WORDS: Final = 4
HEADER_SIZE: Final = 24
FIXED_NAMES: Final = 2**16
"""Names with a smaller id fit into fixed frames."""

# Types of fixed frames. They are also the codes of kinds, plus one.
FLOAT: Final = 1
INT: Final = 2
BOOL: Final = 3
# Types of extended frames.
NAME: Final = 16
TEXT: Final = 17
BIG_INT: Final = 18
LIST_FLOAT: Final = 19
LIST_INT: Final = 20
LIST_BOOL: Final = 21
LIST_JSON: Final = 22
WIDE: Final = 23
"""A float, int or bool whose name id does not fit into a fixed frame."""
COLUMNS: Final = 24
EVENT: Final = 32
MARK: Final = 33
LAST_TYPE: Final = MARK

_FLOAT_BODY: Final = struct.Struct("<BBHqqd")
_INT_BODY: Final = struct.Struct("<BBHqqq")
pack_float: Final = _FLOAT_BODY.pack
pack_int: Final = _INT_BODY.pack
unpack_float: Final = _FLOAT_BODY.unpack
unpack_int: Final = _INT_BODY.unpack
pack_crc: Final = struct.Struct("<I").pack
STAMP: Final = struct.Struct("<qq")
"""Step and time at the head of the payload of a value."""
COUNT: Final = struct.Struct("<Q")
"""Number of rows: behind the stamp of a list, which is followed by its elements."""
COLUMNS_HEAD: Final = struct.Struct("<QQ")
"""Number of rows, and length of the JSON that follows and tells what the columns behind it are."""
WIDE_FLOAT: Final = struct.Struct("<B7xd")
WIDE_INT: Final = struct.Struct("<B7xq")
"""Kind (the type of the fixed frame it would be) and value of a WIDE frame, after the stamp."""
MARK_BODY: Final = struct.Struct("<qq")
"""Rows before the mark, and the byte offset of the mark in the file of rows."""
HEADER: Final = struct.Struct("<IBBHIIQ")
_HEADER_BODY: Final = struct.Struct("<BBHIIQ")


class Extended(NamedTuple):
    """An extended frame that was read."""

    type: int
    name: int
    payload: memoryview


def fixed(kind: int, name: int, step: int, time: int, value: float, *, salt: int) -> bytes:
    """A fixed frame. `writer.log` has the same lines inlined for floats: it is the hot path.

    Raises:
        struct.error: the step or the value does not fit into 64 bits, or the name id not into 16.
    """
    pack = pack_float if kind == FLOAT else pack_int
    body = pack(FIXED_WORDS, kind, name, step, time, value)
    return pack_crc(crc32(body, salt)) + body


def extended(kind: int, name: int, payload: bytes, salt: int) -> bytes:
    """An extended frame with its padding."""
    return header(kind, name, crc32(payload, salt), len(payload), salt) + payload + bytes(-len(payload) % 8)


def header(kind: int, name: int, payload_crc: int, length: int, salt: int) -> bytes:
    """The header of an extended frame alone, for payloads that are written from several buffers."""
    body = _HEADER_BODY.pack(0, kind, 0, name, payload_crc, length)
    return pack_crc(crc32(body, salt)) + body


def extended_size(length: int) -> int:
    """Bytes that an extended frame takes in the file, by the length of its payload."""
    return HEADER_SIZE + length + -length % 8
