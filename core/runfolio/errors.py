"""Every error that Runfolio raises on purpose, grouped by what the caller does next.

::

    RunfolioError(Exception)               .kind (stable code), .backend, .key, .operation
    ├── ConfigurationError   (ValueError)  bad URL, unknown option, unknown scheme
    │   ├── MissingDependencyError (ImportError)
    │   └── UntrustedStoreError            a project file names a store nobody approved
    ├── InvalidKeyError      (ValueError)  a key or path that must not reach storage
    ├── InvalidNameError     (ValueError)  a metric, param, tag or project name
    ├── InvalidValueError    (TypeError)   a value of a type that cannot be logged
    ├── QueryError           (ValueError)  a `where` or `order_by` that cannot be read
    ├── NotFoundError        (FileNotFoundError)
    │   ├── StoreNotFoundError, RunNotFoundError, ArtifactNotFoundError, AssetNotFoundError
    ├── AlreadyExistsError   (FileExistsError)
    ├── ReadOnlyError                      the store was opened read-only, or refuses writes
    ├── RunStateError                      logging to a closed run, resuming a live one
    ├── StorageError                       the environment failed; .retryable says if again may help
    │   ├── PermissionDeniedError (PermissionError)
    │   └── TransientStorageError          throttled, timed out, connection lost
    ├── FormatError                        unreadable or too new data
    │   └── IndexDamagedError              the index cannot be read; `runfolio store repair` rebuilds it
    ├── PluginError                        names the plugin and the hook
    └── TargetError                        the place where runs execute failed, or cannot be reached

Each error takes its message as the only positional argument and the rest as optional keywords, so it survives pickling.
Handlers decide by class or by `kind`, never by the text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class ErrorKind(StrEnum):
    """Stable codes of the errors. Append only: other programs compare them."""

    ERROR = "error"
    CONFIGURATION = "configuration"
    MISSING_DEPENDENCY = "missing_dependency"
    UNTRUSTED_STORE = "untrusted_store"
    INVALID_KEY = "invalid_key"
    INVALID_NAME = "invalid_name"
    INVALID_VALUE = "invalid_value"
    QUERY = "query"
    NOT_FOUND = "not_found"
    STORE_NOT_FOUND = "store_not_found"
    RUN_NOT_FOUND = "run_not_found"
    ARTIFACT_NOT_FOUND = "artifact_not_found"
    ALREADY_EXISTS = "already_exists"
    READ_ONLY = "read_only"
    RUN_STATE = "run_state"
    STORAGE = "storage"
    PERMISSION_DENIED = "permission_denied"
    TRANSIENT_STORAGE = "transient_storage"
    FORMAT = "format"
    INDEX_DAMAGED = "index_damaged"
    PLUGIN = "plugin"
    ASSET_NOT_FOUND = "asset_not_found"
    TARGET = "target"


class RunfolioError(Exception):
    """Base of all errors of this package.

    Args:
        message: what happened, to which object, and what to do next.
        backend: the backend that was asked, for example ``"s3"``.
        key: the key, name or path that the error is about.
        operation: what was attempted, for example ``"create"``.
    """

    kind: ErrorKind = ErrorKind.ERROR

    def __init__(
        self, message: str = "", *, backend: str | None = None, key: str | None = None, operation: str | None = None
    ) -> None:
        super().__init__(message)
        self.backend = backend
        self.key = key
        self.operation = operation

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class ConfigurationError(RunfolioError, ValueError):
    """A URL, option, scheme or configuration value is wrong. Correct it."""

    kind = ErrorKind.CONFIGURATION


class MissingDependencyError(ConfigurationError, ImportError):
    """An optional package is not installed. The message says which extra brings it."""

    kind = ErrorKind.MISSING_DEPENDENCY


class UntrustedStoreError(ConfigurationError):
    """A project file names a store that would be used with credentials and was never approved.

    ``runfolio trust`` approves it.
    """

    kind = ErrorKind.UNTRUSTED_STORE


class InvalidKeyError(RunfolioError, ValueError):
    """A storage key or relative path is not allowed (`runfolio.names` has the rules)."""

    kind = ErrorKind.INVALID_KEY


class InvalidNameError(RunfolioError, ValueError):
    """A name of a metric, param, tag, project or writer is not allowed."""

    kind = ErrorKind.INVALID_NAME


class InvalidValueError(RunfolioError, TypeError):
    """A value of this type cannot be logged. The message names the call that takes it."""

    kind = ErrorKind.INVALID_VALUE


class QueryError(RunfolioError, ValueError):
    """A `where` or `order_by` text cannot be understood. The message shows the place and what was expected."""

    kind = ErrorKind.QUERY


class NotFoundError(RunfolioError, FileNotFoundError):
    """The object does not exist."""

    kind = ErrorKind.NOT_FOUND

    def __str__(self) -> str:
        # OSError formats (errno, text) pairs on its own; ours is always the one message.
        return str(self.args[0]) if self.args else ""


class StoreNotFoundError(NotFoundError):
    """There is no Runfolio store at this place."""

    kind = ErrorKind.STORE_NOT_FOUND


class RunNotFoundError(NotFoundError):
    """No run, or more than one run, answers to this word."""

    kind = ErrorKind.RUN_NOT_FOUND


class ArtifactNotFoundError(NotFoundError):
    """The run has no artifact of this name."""

    kind = ErrorKind.ARTIFACT_NOT_FOUND


class AssetNotFoundError(NotFoundError):
    """There is no asset, version or alias of this name, or it was taken back."""

    kind = ErrorKind.ASSET_NOT_FOUND


class AlreadyExistsError(RunfolioError, FileExistsError):
    """An object of this key exists already and was left as it is."""

    kind = ErrorKind.ALREADY_EXISTS


class ReadOnlyError(RunfolioError):
    """The store was opened for reading only, or its place cannot be written."""

    kind = ErrorKind.READ_ONLY


class RunStateError(RunfolioError):
    """The run is in a state that does not allow this: closed, still live, or deleted."""

    kind = ErrorKind.RUN_STATE


class StorageError(RunfolioError):
    """The environment failed, not the caller."""

    kind = ErrorKind.STORAGE
    retryable: bool = False
    """Whether the same request may succeed later."""


class PermissionDeniedError(StorageError, PermissionError):
    """The credentials in use may not do this."""

    kind = ErrorKind.PERMISSION_DENIED


class TransientStorageError(StorageError):
    """Throttled, timed out, or the connection was lost: the same request may succeed later."""

    kind = ErrorKind.TRANSIENT_STORAGE
    retryable = True


class FormatError(RunfolioError):
    """Stored data is damaged, or was written by a newer Runfolio. The message names the object and the version."""

    kind = ErrorKind.FORMAT


class IndexDamagedError(FormatError):
    """The index of the store cannot be read. ``runfolio store repair`` rebuilds it from the run folders."""

    kind = ErrorKind.INDEX_DAMAGED


class PluginError(RunfolioError):
    """A plugin failed. The message names the plugin and the hook."""

    kind = ErrorKind.PLUGIN


class TargetError(RunfolioError):
    """A target failed, could not be reached, or did not accept a job. What the job did is not its error."""

    kind = ErrorKind.TARGET
