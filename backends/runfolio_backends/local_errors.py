"""What the operating system's error numbers mean for a local store."""

# This room is system calls: os is what they are called, and pathlib would cost more than some of them.
from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from runfolio.errors import (
    InvalidKeyError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)

NAME: Final = "local"

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
_TRANSIENT: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EIO,  # a network share that is briefly away answers so
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOLCK,
        errno.EDEADLK,
        errno.ETXTBSY,
    }
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_READING: Final = frozenset({"get", "stat", "list"})
_LOCKED_BY_OTHERS: Final = frozenset({5, 32, 33})
"""Windows: a file that a virus scanner or a reader holds open refuses a rename with one of these."""


@contextmanager
def translate_errors(
    operation: str,
    key: str,
    root: str,
    *,
    source: os.PathLike[str] | None = None,
    target: os.PathLike[str] | None = None,
) -> Generator[None]:
    """Turn an `OSError` of the block into one of our errors.

    Args:
        operation: ``get``, ``put``, ``create``, ``list``, ``stat``, ``delete`` or ``sweep``.
        key: what it was done to.
        root: the folder of the store.
        source: a file outside of the store that is read.
        target: a file outside of the store that is written.

    Raises:
        RunfolioError: what the OSError means.
    """
    try:
        yield
    except RunfolioError:
        raise  # some of ours are OSErrors too
    except OSError as error:
        outside = source or target
        if outside is not None and error.filename is not None and os.fspath(error.filename) == os.fspath(outside):
            raise StorageError(
                f"The local file {outside} cannot be {'read' if source else 'written'}: {error.strerror}",
                backend=NAME,
                key=key,
                operation=operation,
            ) from error
        raise _meaning(error, operation, key, root) from error


def _meaning(error: OSError, operation: str, key: str, root: str) -> RunfolioError:
    kind, advice = _kind_of(error, operation, root)
    what = f"Cannot {operation} {key or 'the store'} in {root}: {error.strerror or error}"
    return kind(f"{what}. {advice}" if advice else what, backend=NAME, key=key, operation=operation)


def _kind_of(error: OSError, operation: str, root: str) -> tuple[type[RunfolioError], str]:
    code = error.errno
    if operation in _READING and code in _ABSENT:
        return NotFoundError, ""
    if code == errno.ELOOP:
        return InvalidKeyError, "A store is followed through no symbolic link."
    if code in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL) and operation not in _READING:
        return StorageError, "The file system cannot hold this name."
    if code == errno.EROFS:
        return ReadOnlyError, "The file system is mounted for reading only."
    if code in _DENIED:
        if getattr(error, "winerror", None) in _LOCKED_BY_OTHERS and operation not in _READING:
            return TransientStorageError, "Another program holds the file open."
        if operation not in _READING and not _writable(root):
            return ReadOnlyError, "This user may not write to that folder."
        return PermissionDeniedError, "This user may not do that there."
    if code in _FULL:
        return StorageError, "The disk is full, or the quota is used up: make room, then run `runfolio sync`."
    if code in _TRANSIENT:
        return TransientStorageError, ""
    return StorageError, ""


def _writable(root: str) -> bool:
    """Whether this user may write to the folder of the store, or make it."""
    folder = root
    while not os.path.isdir(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return os.access(folder, os.W_OK)
