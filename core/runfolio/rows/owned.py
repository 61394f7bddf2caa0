"""Bytes of Python in memory that Arrow owns.

Arrow reads Parquet with threads of its own, which may still hold what they read when the interpreter ends. Were that
memory Python's, such a thread would ask for the interpreter's lock to release it, and abort the process.
"""

from __future__ import annotations

import pyarrow as pa


def owned(data: bytes) -> pa.Buffer:
    """Return a copy of the bytes that no thread needs Python to release."""
    out = pa.BufferOutputStream()
    out.write(data)
    return out.getvalue()
