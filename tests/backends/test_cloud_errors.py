"""Each exception of the client libraries has a meaning, and none of them shows a secret."""

from __future__ import annotations

import ssl
import traceback
from typing import Any

import aiohttp
import azure.core.exceptions
import azure.identity
import botocore.exceptions
import pytest
import s3fs.errors
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.storage.blob import StorageErrorCode
from botocore.exceptions import BotoCoreError, ClientError

from runfolio.errors import (
    AlreadyExistsError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)
from runfolio_backends import azure_errors, s3_errors
from runfolio_backends.cloud_errors import Request, look_up


def below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(below(one) for one in kind.__subclasses__()))


def client_error(code: str, status: int, message: str = "said") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


def test_each_exception_of_botocore_has_a_meaning() -> None:
    kinds = {one for one in below(BotoCoreError) - {BotoCoreError} if one.__module__.startswith("botocore.")}
    assert len(kinds) > 80
    assert {kind.__name__ for kind in kinds if look_up(kind, s3_errors.EXCEPTIONS) is None} == set()


@pytest.mark.parametrize("code", sorted(s3fs.errors.ERROR_CODE_TO_EXCEPTION))
def test_each_error_code_that_s3fs_knows_has_a_meaning(code: str) -> None:
    assert code in s3_errors.CODES


def test_each_exception_of_azure_has_a_meaning() -> None:
    kinds = {one for one in below(AzureError) if one.__module__.startswith(("azure.core", "azure.identity"))}
    assert len(kinds) > 15
    # These two are told by their code and status.
    told = kinds - {AzureError, HttpResponseError}
    assert {kind.__name__ for kind in told if look_up(kind, azure_errors.EXCEPTIONS) is None} == set()
    for kind in (AzureError, HttpResponseError):
        meaning = azure_errors.meaning_of(kind("x"))
        assert meaning is not None
        assert meaning.kind is StorageError


@pytest.mark.parametrize("code", sorted(str(one.value) for one in StorageErrorCode))
def test_each_error_code_of_azure_storage_has_a_meaning(code: str) -> None:
    """Those that are not told by themselves are told by the status they come with."""
    error = HttpResponseError("x")
    error.error_code = code  # type: ignore[attr-defined]  # as the SDK does
    for status in (400, 403, 404, 409, 412, 500, 503):
        error.status_code = status
        meaning = azure_errors.meaning_of(error)
        assert meaning is not None
        assert code not in azure_errors.CODES or meaning is azure_errors.CODES[code]


def raised_by(translate: Any, error: BaseException, operation: str = "get") -> RunfolioError:
    with pytest.raises(RunfolioError) as caught, translate(Request("cloud", operation, "a/k", "s3://b/p")):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "operation", "expected"),
    [
        (client_error("NoSuchKey", 404), "get", NotFoundError),
        (client_error("404", 404), "stat", NotFoundError),
        (client_error("NoSuchBucket", 404), "get", StorageError),
        (client_error("PreconditionFailed", 412), "create", AlreadyExistsError),
        (client_error("412", 412), "create", AlreadyExistsError),
        (client_error("SomethingOfCeph", 412), "create", AlreadyExistsError),
        (client_error("PreconditionFailed", 412), "get", TransientStorageError),
        (client_error("ConditionalRequestConflict", 409), "create", TransientStorageError),
        (client_error("SlowDown", 503), "put", TransientStorageError),
        (client_error("NobodyKnows", 503), "put", TransientStorageError),
        (client_error("NobodyKnows", 429), "put", TransientStorageError),
        (client_error("NobodyKnows", 418), "put", StorageError),
        (client_error("ExpiredToken", 400), "put", PermissionDeniedError),
        (client_error("RequestTimeTooSkewed", 403), "put", PermissionDeniedError),
        (client_error("NotImplemented", 501), "create", StorageError),
        (botocore.exceptions.NoCredentialsError(), "get", PermissionDeniedError),
        (botocore.exceptions.ProfileNotFound(profile="x"), "get", ConfigurationError),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), "get", TransientStorageError),
        (botocore.exceptions.SSLError(endpoint_url="http://x", error="y"), "get", StorageError),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), "get", TransientStorageError),
        (botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "get", TransientStorageError),
        (aiohttp.ClientPayloadError("cut"), "get", TransientStorageError),
        (ConnectionResetError(104, "reset"), "get", TransientStorageError),
        (TimeoutError(), "get", TransientStorageError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:60],
)
def test_what_s3_says_and_what_it_means(error: BaseException, operation: str, expected: type[RunfolioError]) -> None:
    ours = raised_by(s3_errors.translate_errors, error, operation)
    assert isinstance(ours, expected)
    if expected is StorageError:
        assert not isinstance(ours, (PermissionDeniedError, TransientStorageError))
    assert (ours.backend, ours.key, ours.operation) == ("cloud", "a/k", operation)
    assert ours.__cause__ is error


def azure_error(status: int | None, code: str) -> HttpResponseError:
    error = HttpResponseError("said")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]  # as the SDK does
    return error


@pytest.mark.parametrize(
    ("error", "operation", "expected"),
    [
        (azure_error(404, "BlobNotFound"), "get", NotFoundError),
        (azure_error(404, "ContainerNotFound"), "get", StorageError),
        (azure_error(409, "BlobAlreadyExists"), "create", AlreadyExistsError),
        (azure_error(412, "ConditionNotMet"), "create", AlreadyExistsError),
        (azure_error(412, ""), "create", AlreadyExistsError),
        (azure_error(409, ""), "put", TransientStorageError),
        (azure_error(503, "ServerBusy"), "get", TransientStorageError),
        (azure_error(500, ""), "get", TransientStorageError),
        (azure_error(403, "AuthenticationFailed"), "get", PermissionDeniedError),
        (azure_error(403, "AuthorizationPermissionMismatch"), "delete", PermissionDeniedError),
        (azure_error(400, "UnsupportedHeader"), "create", StorageError),
        (azure_error(501, ""), "create", StorageError),
        (ServiceRequestError("no such host"), "get", TransientStorageError),
        (ServiceRequestError("tls", error=ssl.SSLError()), "get", StorageError),
        (HttpResponseError("x", error=aiohttp.ClientPayloadError("cut")), "get", TransientStorageError),
        (azure.core.exceptions.IncompleteReadError("cut"), "get", TransientStorageError),
        (azure.identity.CredentialUnavailableError("none"), "get", PermissionDeniedError),
        (ValueError("bad url"), "get", ConfigurationError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:60],
)
def test_what_azure_says_and_what_it_means(error: BaseException, operation: str, expected: type[RunfolioError]) -> None:
    ours = raised_by(azure_errors.translate_errors, error, operation)
    assert isinstance(ours, expected)
    if expected is StorageError:
        assert not isinstance(ours, (PermissionDeniedError, TransientStorageError))
    assert ours.__cause__ is error


@pytest.mark.parametrize(
    ("translate", "error"),
    [
        (s3_errors.translate_errors, client_error("AccessDenied", 403, "url https://x/y?X-Amz-Signature=hush&a=b")),
        (s3_errors.translate_errors, botocore.exceptions.HTTPClientError(error="proxy http://ann:hush@host failed")),
        (azure_errors.translate_errors, ServiceRequestError("https://a.blob.core.windows.net/c?sv=1&sig=hush")),
    ],
)
def test_no_secret_of_a_foreign_message_is_shown(translate: Any, error: BaseException) -> None:
    ours = raised_by(translate, error)
    assert "hush" not in "".join(traceback.format_exception(ours))
    assert "[redacted]" in "".join(traceback.format_exception(ours))


def test_what_is_no_storage_trouble_passes_through() -> None:
    for translate in (s3_errors.translate_errors, azure_errors.translate_errors):
        with pytest.raises(ZeroDivisionError), translate(Request("cloud", "get", "k", "s3://b")):
            raise ZeroDivisionError
        with pytest.raises(NotFoundError, match="mine"), translate(Request("cloud", "get", "k", "s3://b")):
            raise NotFoundError("mine")
