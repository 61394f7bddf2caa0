"""What the exceptions of a file system that nobody here knows mean: fsspec's convention is that of the system's."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from fsspec.exceptions import FSTimeoutError

from runfolio.config import redact_text
from runfolio.errors import (
    MissingDependencyError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)

if TYPE_CHECKING:
    from collections.abc import Generator

NAME: Final = "fsspec"
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LASTING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.EINVAL, errno.EFBIG, errno.ENOSYS, errno.EOPNOTSUPP}
)


@contextmanager
def translate_errors(operation: str, key: str, url: str) -> Generator[None]:
    """Turn what a file system raises in the block into one of our errors.

    Raises:
        RunfolioError: what the exception means.
    """
    try:
        yield
    except RunfolioError:
        raise  # some of ours are OSErrors too
    except ImportError as error:
        raise MissingDependencyError(
            f"{url} needs a library that is not installed: {error}", backend=NAME, operation=operation
        ) from error
    except Exception as error:  # noqa: BLE001 (each library behind fsspec raises exceptions of its own)
        kind, advice = _meaning(error)
        place = f"{key} in {url}" if key else url
        said = redact_text(str(error))
        ours = kind(
            f"{key} is not in {url}"
            if kind is NotFoundError
            else f"Cannot {operation} {place}: {type(error).__name__}{advice}",
            backend=NAME,
            key=key or None,
            operation=operation,
        )
        if said and kind is not NotFoundError:
            ours.add_note(f"The file system said: {said[:2000]}")
        raise ours from (error if said == str(error) else StorageError(f"{type(error).__name__}: {said}"))


def _meaning(error: Exception) -> tuple[type[RunfolioError], str]:
    if isinstance(error, _ABSENT):
        return NotFoundError, ""
    if isinstance(error, PermissionError):
        return PermissionDeniedError, ". Check the credentials, and what they may do there"
    if isinstance(error, NotImplementedError):
        return StorageError, ". This file system cannot do that"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return ReadOnlyError, ". The file system is mounted for reading only"
    if isinstance(error, OSError) and error.errno in _LASTING:
        return StorageError, ""
    if isinstance(error, (OSError, TimeoutError, FSTimeoutError, EOFError)):
        return TransientStorageError, ". Check the network; this may pass"
    return StorageError, ". Check the URL and the storage_options"
