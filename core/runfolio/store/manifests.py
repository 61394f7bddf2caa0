"""Manifests: the list of files that one writer stored (``docs/format.md``, "Manifests")."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import FormatError
from runfolio.store.documents import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

STORED: Final = "stored"
CHANGED: Final = "changed while read"
TOO_LARGE: Final = "too large"
FAILED: Final = "failed"
PENDING: Final = "pending"
"""The writer is about to store this file; what lies there is not yet, or no longer, what its row says."""
AVAILABLE: Final = frozenset({STORED, CHANGED})
"""Statuses of a file whose bytes are in the store."""


def schema() -> pa.Schema:
    """Return the columns of a manifest."""
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)

    return pa.schema(
        [
            ("path", pa.string()),
            ("key", pa.string()),
            ("size", pa.int64()),
            ("sha256", pa.string()),
            ("modified", pa.timestamp("us", "UTC")),
            ("media_type", pa.string()),
            ("original", pa.string()),
            ("kind", pa.string()),
            ("step", pa.int64()),
            ("status", pa.string()),
        ]
    )


def encode_manifest(rows: Iterable[Mapping[str, Any]], writer: str) -> bytes:
    """Return the Parquet file of a manifest. `modified` is given in microseconds since the epoch."""
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

    columns = schema()
    metadata = {"runfolio.format": str(FORMAT), "runfolio.writer": writer}
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=columns).replace_schema_metadata(metadata)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def decode_manifest(data: bytes, key: str) -> list[dict[str, Any]]:
    """Return the rows of a manifest; columns that are absent are null.

    Raises:
        FormatError: it is damaged or of a newer format.
    """
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

    from runfolio.rows.owned import owned  # noqa: PLC0415 (loaded on use)

    try:
        table = pq.read_table(pa.BufferReader(owned(data)))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"The manifest {key} is damaged", key=key) from error
    version = (table.schema.metadata or {}).get(b"runfolio.format", b"1")
    if not version.isdigit() or int(version) > FORMAT:
        raise FormatError(
            f"The manifest {key} has format {version.decode(errors='replace')}, and this Runfolio reads up to "
            f"{FORMAT}: upgrade it",
            key=key,
        )
    if not {"path", "size", "status"} <= set(table.column_names):
        raise FormatError(f"The manifest {key} is damaged: it lacks columns", key=key)
    blank = dict.fromkeys(schema().names)
    rows: list[dict[str, Any]] = table.to_pylist()
    return [{**blank, **row} for row in rows]
