"""A checkpoint of the index: one immutable Parquet object, full or a delta on a full one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from runfolio.errors import FormatError, IndexDamagedError
from runfolio.index.schema import CHECKPOINT
from runfolio.rows.owned import owned

FORMAT: Final = 1
KEYS: Final = "runfolio."
_DELTA_INTS: Final = ("created_ms", "created_utc", "start_time_utc", "end_time_utc", "run_number", "changed")
_SPLIT: Final = (
    "params.list.element.value",
    "summary.list.element.value",
    "metrics.list.element.last",
    "metrics.list.element.min",
    "metrics.list.element.max",
)
_BLANK: Final = b"00000000"
_CHECK: Final = b"runfolio.check\x18\x08"
"""The key of the checksum and the head of its value in a Parquet footer: a text (0x18) of 8 bytes."""
_PLAIN: Final = frozenset({"uid", "main_token", "short", "rest", "note", "description", "hidden", "deleted", "started"})


class Base(NamedTuple):
    """The full checkpoint that a delta builds on, named by sequence number and write id."""

    seq: int
    wid: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint as it was read or will be written.

    Attributes:
        seq: its sequence number.
        wid: its write id.
        held: short names of the log entries that are in it and were in ``log/`` when it was made.
        base: what a delta builds on; None for a full checkpoint.
        before: the base of the checkpoint just before this one, so that who removes old checkpoints need not open it.
        table: its own rows, in the schema `CHECKPOINT`, newest first.
    """

    seq: int
    wid: str
    held: frozenset[str]
    base: Base | None
    before: Base | None
    table: pa.Table


def leaves(kind: pa.DataType, path: str) -> list[str]:
    """The Parquet columns that an Arrow column of this type becomes."""
    if pa.types.is_list(kind):
        return leaves(kind.value_type, f"{path}.list.element")
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in leaves(field.type, f"{path}.{field.name}")]
    return [path]


def _encodings() -> tuple[list[str], dict[str, str]]:
    paths = [leaf for field in CHECKPOINT for leaf in leaves(field.type, field.name)]
    special: dict[str, str] = {}
    special.update(dict.fromkeys(_DELTA_INTS, "DELTA_BINARY_PACKED"))
    special.update(dict.fromkeys(_SPLIT, "BYTE_STREAM_SPLIT"))
    return [path for path in paths if path not in special and path not in _PLAIN], special


def dump(checkpoint: Checkpoint) -> bytes:
    """Return the bytes of a checkpoint."""
    dictionary, special = _encodings()
    metadata = {
        "format": str(FORMAT),
        "wid": checkpoint.wid,
        "seq": str(checkpoint.seq),
        "held": json.dumps(sorted(checkpoint.held), separators=(",", ":")),
        "base": _dump_base(checkpoint.base),
        "before": _dump_base(checkpoint.before),
        "check": _BLANK.decode(),
    }
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        CHECKPOINT,
        compression="zstd",
        compression_level=3,
        use_dictionary=dictionary,
        column_encoding=special,
        write_statistics=False,
    ) as writer:
        writer.write_table(checkpoint.table)
        # Not as metadata of the Arrow schema, which is stored a second time.
        writer.add_key_value_metadata({f"{KEYS}{key}": value for key, value in metadata.items()})
    data: bytes = sink.getvalue().to_pybytes()
    begin, value = _checksum(data)
    return b"".join((data[:begin], value, data[begin + len(_BLANK) :]))


def load(data: bytes, key: str) -> Checkpoint:
    """Return what `dump` made these bytes of.

    Raises:
        IndexDamagedError: the bytes are not a whole checkpoint.
        FormatError: a newer Runfolio wrote it.
    """
    try:
        begin, value = _checksum(data)
        if data[begin : begin + len(_BLANK)] != value:
            raise ValueError("the checksum differs")  # noqa: TRY301 (one message for all damage)
        file = pq.ParquetFile(pa.BufferReader(owned(data)), pre_buffer=True)
        metadata = _metadata(file.metadata.metadata)
        table = file.read()
        version = int(metadata["format"])
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise IndexDamagedError(
            f"The index object {key} cannot be read. `runfolio store repair` rebuilds the index",
            key=key,
            operation="read",
        ) from error
    if version > FORMAT:
        raise FormatError(
            f"The index object {key} has format {version}; this Runfolio reads up to {FORMAT}: upgrade it", key=key
        )
    try:
        return Checkpoint(
            seq=int(metadata["seq"]),
            wid=metadata["wid"],
            held=frozenset(json.loads(metadata["held"])),
            base=_load_base(metadata["base"]),
            before=_load_base(metadata["before"]),
            table=_known(table),
        )
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise IndexDamagedError(
            f"The index object {key} is damaged. `runfolio store repair` rebuilds the index", key=key, operation="read"
        ) from error


_Metadata: TypeAlias = Mapping[str, str]


def _metadata(found: Mapping[bytes, bytes] | None) -> _Metadata:
    own = {key: value for key, value in (found or {}).items() if key.startswith(KEYS.encode())}
    return {key.decode().removeprefix(KEYS): value.decode() for key, value in own.items()}


def _checksum(data: bytes) -> tuple[int, bytes]:
    """Where in the bytes of a checkpoint its checksum stands, and what it should be.

    It covers every byte, page headers and footer too, which Parquet's own page checksums leave out.
    """
    place = data.rfind(_CHECK)
    if place < 0:
        raise ValueError("there is no checksum")
    view, begin = memoryview(data), place + len(_CHECK)
    value = zlib.crc32(view[:begin])
    value = zlib.crc32(view[begin + len(_BLANK) :], zlib.crc32(_BLANK, value))
    return begin, f"{value:08x}".encode()


def _known(table: pa.Table) -> pa.Table:
    """The columns we know, in our order and types; columns that a later version added are left out."""
    if table.schema.equals(CHECKPOINT):
        return table.replace_schema_metadata(None)
    return pa.table([table.column(field.name).cast(field.type) for field in CHECKPOINT], schema=CHECKPOINT)


def _dump_base(base: Base | None) -> str:
    return "" if base is None else f"{base.seq} {base.wid}"


def _load_base(text: str) -> Base | None:
    if not text:
        return None
    seq, wid = text.split(" ")
    return Base(int(seq), wid)
