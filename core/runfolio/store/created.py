"""Create-if-absent that is right whatever happens to the answer ("Lost responses" in the protocol).

A request may take effect and its answer be lost; a library beneath may retry without telling; the process may have been
killed and replay. So "exists" and every doubtful answer are settled by reading back, and what is stored is what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import (
    AlreadyExistsError,
    FormatError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientStorageError,
)
from runfolio.store.documents import decode, encode
from runfolio.store.retrying import PATIENT, Attempts, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

_TAIL: Final = 64 * 1024
_ROUNDS: Final = 8
"""How often an object may vanish between "exists" and reading it back before that is called an error."""


@dataclass(frozen=True, slots=True)
class Creation:
    """How a create ended.

    Attributes:
        ours: the object is ours: just written, or by an earlier attempt with the same write id.
        fresh: it was written by this very request.
        document: what is stored, which counts, not what we hold in memory. Empty for a Parquet file.
    """

    ours: bool
    fresh: bool
    document: dict[str, Any]


def create_document(
    backend: Backend, key: str, document: Mapping[str, Any], environment: Environment, patience: Patience = PATIENT
) -> Creation:
    """Create a JSON document that carries its write id in `wid`.

    Returns:
        Whether the object is ours, and what is stored.

    Raises:
        FormatError: something is there that cannot be read, so nobody knows whose it is.
        StorageError: the storage failed. A replay with the same write id is safe.
    """
    sent = dict(document)

    def read_back() -> tuple[str, dict[str, Any]]:
        stored = decode(backend.get(key), key)
        return stored["wid"], stored

    fresh, wid, stored = _create(backend, key, encode(sent), sent["wid"], sent, read_back, environment, patience)
    return Creation(wid == sent["wid"], fresh, stored)


def create_parquet(
    backend: Backend, key: str, data: bytes, wid: str, environment: Environment, patience: Patience = PATIENT
) -> Creation:
    """Create a Parquet file that carries its write id in the metadata ``runfolio.wid``.

    Raises:
        FormatError: something is there that cannot be read, so nobody knows whose it is.
        StorageError: the storage failed. A replay with the same write id is safe.
    """
    fresh, stored_wid, _ = _create(
        backend, key, data, wid, {}, lambda: (parquet_wid(backend, key), {}), environment, patience
    )
    return Creation(stored_wid == wid, fresh, {})


def _create(
    backend: Backend,
    key: str,
    data: bytes,
    wid: str,
    sent: dict[str, Any],
    read_back: Callable[[], tuple[str, dict[str, Any]]],
    environment: Environment,
    patience: Patience,
) -> tuple[bool, str, dict[str, Any]]:
    attempts = Attempts(patience, environment)
    for _ in range(_ROUNDS * patience.attempts):
        doubt: StorageError | None = None
        try:
            backend.create(key, data)
        except AlreadyExistsError:
            pass
        except PermissionDeniedError:
            raise  # refused: it took no effect
        except StorageError as error:
            doubt = error
        else:
            return True, wid, sent
        try:
            stored_wid, stored = _patiently(read_back, patience, environment)
        except NotFoundError:
            if doubt is not None:
                attempts.wait(doubt)  # it took no effect: send it again, or raise it
            continue
        return False, stored_wid, stored
    raise TransientStorageError(
        f"{key} exists when it is created and is gone when it is read, again and again", key=key, operation="create"
    )


def _patiently(
    read_back: Callable[[], tuple[str, dict[str, Any]]], patience: Patience, environment: Environment
) -> tuple[str, dict[str, Any]]:
    attempts = Attempts(patience, environment)
    while True:
        try:
            return read_back()
        except StorageError as error:
            attempts.wait(error)


def parquet_wid(backend: Backend, key: str) -> str:
    """Return the write id of a stored Parquet file, read from its footer.

    Raises:
        NotFoundError: there is no such object.
        FormatError: it is not one of our Parquet files.
        StorageError: the storage failed.
    """
    tail = backend.get(key, -_TAIL)
    size = int.from_bytes(tail[-8:-4], "little") + 8 if tail[-4:] == b"PAR1" else 0
    if len(tail) == _TAIL < size:
        tail = backend.get(key, -size)
    return metadata_of(tail, key).get("runfolio.wid", "")


def metadata_of(tail: bytes, key: str) -> dict[str, str]:
    """Return the key-value metadata in the last bytes of a Parquet file, which hold at least its footer.

    Raises:
        FormatError: they do not.
    """
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

    try:
        found = pq.read_metadata(pa.BufferReader(tail)).metadata or {}
        return {name.decode(): value.decode() for name, value in found.items() if name.startswith(b"runfolio.")}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"{key} is not a Parquet file of this store, or is damaged", key=key) from error
