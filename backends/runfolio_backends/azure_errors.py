"""What the error codes of Azure Blob and the exceptions of azure-core mean."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    IncompleteReadError,
    ODataV4Error,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResourceNotModifiedError,
    ResponseNotReadError,
    SerializationError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
    StreamClosedError,
    StreamConsumedError,
    TooManyRedirectsError,
)

from runfolio.errors import (
    AlreadyExistsError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)
from runfolio_backends.cloud_errors import (
    AGAIN,
    LOOKING,
    NOTHING_THERE,
    REACH,
    TRANSPORT,
    Meaning,
    Request,
    by_status,
    cause_of,
    look_up,
    our_error,
)
from runfolio_backends.fsspec_adapter import UnableError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_DENIED: Final = Meaning(
    PermissionDeniedError,
    "These credentials may not do that there: a role such as Storage Blob Data Contributor, or a SAS that allows it "
    "and has not expired, is needed",
)
_IDENTITY: Final = Meaning(
    PermissionDeniedError,
    "Check the credentials (account key, SAS, `az login`) and whether they have expired; a clock of this machine that "
    "is wrong by more than 15 minutes is refused too",
)
_LATER: Final = Meaning(TransientStorageError, AGAIN)
_NO_CONTAINER: Final = Meaning(StorageError, "There is no such container: create it, or check the URL and the account")
_REFUSED: Final = Meaning(StorageError, "The service does not take this request as it is")
_KEPT: Final = Meaning(StorageError, "A lease or an immutability policy keeps the blob as it is")
_TOO_LARGE: Final = Meaning(StorageError, "That is more than the service takes in one request")
_UNABLE: Final = Meaning(
    UnableError,
    "This service cannot do that. If it refuses to create a blob only where none is, and if only one process at a time "
    "will ever write there, set single_writer = true",
)
_ARCHIVED: Final = Meaning(
    StorageError, "The blob was moved to the archive tier: rehydrate it, and keep lifecycle rules off the store"
)

CODES: Final[Mapping[str, Meaning]] = {
    **dict.fromkeys(
        (
            "AccountIsDisabled", "AuthorizationFailure", "AuthorizationPermissionMismatch",
            "InsufficientAccountPermissions",
            "AuthorizationProtocolMismatch", "AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch",
            "AuthorizationSourceIPMismatch", "KeyBasedAuthenticationNotPermitted", "PublicAccessNotPermitted",
            "UnauthorizedBlobOverwrite", "ContainerDisabled",
        ),
        _DENIED,
    ),
    **dict.fromkeys(
        ("AuthenticationFailed", "NoAuthenticationInformation", "InvalidAuthenticationInfo"), _IDENTITY
    ),
    **dict.fromkeys(
        ("BlobNotFound", "ResourceNotFound", "PathNotFound", "CannotVerifyCopySource", "SourcePathNotFound"),
        Meaning(NotFoundError),
    ),
    **dict.fromkeys(("ContainerNotFound", "FilesystemNotFound"), _NO_CONTAINER),
    **dict.fromkeys(
        ("BlobAlreadyExists", "ConditionNotMet", "ResourceAlreadyExists", "PathAlreadyExists", "TargetConditionNotMet"),
        Meaning(AlreadyExistsError),
    ),
    **dict.fromkeys(
        (
            "ServerBusy", "InternalError", "OperationTimedOut", "ContainerBeingDeleted", "AccountBeingCreated",
            "BlobOverwritten", "BlobBeingRehydrated", "PendingCopyOperation", "Md5Mismatch", "InvalidBlobOrBlock",
            "InvalidBlockList", "SnapshotOperationRateExceeded", "SystemInUse", "FilesystemBeingDeleted",
            "DestinationPathIsBeingDeleted", "SourcePathIsBeingDeleted", "SourceConditionNotMet", "Crc64Mismatch",
        ),
        _LATER,
    ),
    **dict.fromkeys(("UnsupportedHeader", "ConditionHeadersNotSupported", "UnsupportedHttpVerb"), _UNABLE),
    **dict.fromkeys(
        (
            "LeaseIdMissing", "LeaseIdMismatchWithBlobOperation", "LeaseAlreadyPresent", "LeaseLost",
            "BlobImmutableDueToPolicy", "SnapshotsPresent",
        ),
        _KEPT,
    ),
    **dict.fromkeys(
        ("RequestBodyTooLarge", "BlockCountExceedsLimit", "BlockListTooLong", "ContentLengthLargerThanTierLimit"),
        _TOO_LARGE,
    ),
    **dict.fromkeys(("BlobArchived", "BlobNotArchived"), _ARCHIVED),
}  # fmt: skip
"""What Azure Blob calls it -> what it means. Other codes are told by their status."""

EXCEPTIONS: Final[Mapping[type[BaseException], Meaning]] = {
    **TRANSPORT,
    ClientAuthenticationError: _IDENTITY,
    ServiceRequestError: Meaning(TransientStorageError, REACH),
    ServiceRequestTimeoutError: Meaning(TransientStorageError, REACH),
    ServiceResponseError: _LATER,
    ServiceResponseTimeoutError: _LATER,
    IncompleteReadError: _LATER,
    DecodeError: Meaning(StorageError, "The answer is none of Azure Blob: check the endpoint"),
    DeserializationError: Meaning(StorageError, "The answer is none of Azure Blob: check the endpoint"),
    SerializationError: _REFUSED,
    TooManyRedirectsError: Meaning(StorageError, "Check the endpoint: it only sends elsewhere"),
    ODataV4Error: _REFUSED,
    StreamConsumedError: _LATER,
    StreamClosedError: _LATER,
    ResponseNotReadError: _LATER,
    ResourceExistsError: Meaning(AlreadyExistsError),
    ResourceModifiedError: Meaning(AlreadyExistsError),
    ResourceNotModifiedError: _REFUSED,
    ResourceNotFoundError: Meaning(NotFoundError),
}
"""What azure-core raises, looked up from the class upwards; `HttpResponseError` itself is told by its code."""


def code_of(error: BaseException) -> str:
    """What the service calls it, or an empty text."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def meaning_of(error: BaseException) -> Meaning | None:
    """Return what an exception means, by its class and code, or None if it is of another kind."""
    if isinstance(error, HttpResponseError):
        known = CODES.get(code_of(error))
        if known is not None:
            return known
        if error.status_code is not None:
            return _STATUSES.get(error.status_code) or by_status(error.status_code)
    inner = getattr(error, "inner_exception", None)
    below = meaning_of(inner) if isinstance(inner, _BELOW) else None
    return (
        below or look_up(type(error), EXCEPTIONS) or (Meaning(StorageError) if isinstance(error, AzureError) else None)
    )


_BELOW: Final = (ssl.SSLError, aiohttp.ClientError, AzureError)
"""What an exception of azure-core may only wrap: it says more than the wrapper."""
_STATUSES: Final = {409: _LATER, 412: Meaning(AlreadyExistsError), 501: _UNABLE}
"""Where the code is missing or unknown."""


@contextmanager
def translate_errors(request: Request) -> Generator[None]:
    """Turn what adlfs, the Azure SDK and aiohttp raise in the block into one of our errors.

    Raises:
        RunfolioError: what the exception means.
    """
    try:
        yield
    except RunfolioError:
        raise  # some of ours are OSErrors too
    except (AzureError, aiohttp.ClientError, OSError) as error:
        meaning = meaning_of(error)
        assert meaning is not None
        if meaning.kind is NotFoundError and request.operation not in LOOKING:
            meaning = NOTHING_THERE
        if meaning.kind is AlreadyExistsError and request.operation != "create":
            meaning = Meaning(TransientStorageError, "The blob was replaced meanwhile")
        raise our_error(error, meaning, request, code_of(error)) from cause_of(error)
    except ValueError as error:
        # The SDK refuses some options and URLs so, before anything is sent.
        meaning = Meaning(ConfigurationError, "Check the URL and the options of the store")
        raise our_error(error, meaning, request) from cause_of(error)
