"""What the error codes of S3 and the exceptions of botocore mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
import botocore.exceptions
from botocore.discovery import EndpointDiscoveryException
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
from runfolio_backends.cloud_errors import (
    AGAIN,
    CERTIFICATE,
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

_CREDENTIALS: Final = "Check the credentials: options, environment, profile (`aws sts get-caller-identity` shows whose)"
_DENIED: Final = Meaning(
    PermissionDeniedError,
    "These credentials may not do that there. A missing object looks the same to who may not list the bucket",
)
_IDENTITY: Final = Meaning(PermissionDeniedError, _CREDENTIALS)
_EXPIRED: Final = Meaning(
    PermissionDeniedError, "The credentials have expired: renew them, for example by `aws sso login`"
)
_CLOCK: Final = Meaning(PermissionDeniedError, "The clock of this machine differs too much from the service's: set it")
_LATER: Final = Meaning(TransientStorageError, AGAIN)
_NO_BUCKET: Final = Meaning(
    StorageError, "There is no such bucket: create it, or check the URL, the region and the endpoint"
)
_ELSEWHERE: Final = Meaning(
    StorageError, "The bucket is in another region, or at another endpoint: set the option region"
)
_REFUSED: Final = Meaning(StorageError, "The service does not take this request as it is")
_DAMAGED: Final = Meaning(TransientStorageError, "The bytes did not arrive as they were sent")
_TOO_LARGE: Final = Meaning(StorageError, "That is more than the service takes in one request")
_CONFIGURED: Final = Meaning(ConfigurationError, "Check the options of the store, the environment and ~/.aws/config")
_UNABLE: Final = Meaning(
    UnableError,
    "This service cannot do that. If it refuses to create an object only where none is, and if only one process at a "
    "time will ever write there, set single_writer = true",
)

CODES: Final[Mapping[str, Meaning]] = {
    **dict.fromkeys(
        (
            "AccessDenied", "AccountProblem", "AllAccessDisabled", "CrossLocationLoggingProhibited", "InvalidPayer",
            "NotSignedUp", "AccessForbidden", "403",
        ),
        _DENIED,
    ),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity", "CredentialsNotSupported", "InvalidToken",
            "MissingSecurityElement", "MissingSecurityHeader", "InvalidClientTokenId", "UnrecognizedClientException",
            "401", "Unauthorized",
        ),
        _IDENTITY,
    ),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"), _EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestInTheFuture"), _CLOCK),
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion", "404"), Meaning(NotFoundError)),
    "NoSuchBucket": _NO_BUCKET,
    "NoSuchUpload": Meaning(TransientStorageError, "The upload was aborted meanwhile; it starts anew"),
    **dict.fromkeys(("PreconditionFailed", "412"), Meaning(AlreadyExistsError)),
    **dict.fromkeys(
        (
            "SlowDown", "ServiceUnavailable", "InternalError", "OperationAborted", "RequestTimeout", "Throttling",
            "ThrottlingException", "TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded",
            "BandwidthLimitExceeded", "ConditionalRequestConflict", "RestoreAlreadyInProgress", "409", "429", "500",
            "502", "503", "504", "SlowDownRead", "SlowDownWrite", "ServerBusy", "Busy",
        ),
        _LATER,
    ),
    **dict.fromkeys(
        ("IncompleteBody", "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "InvalidPart",
         "InvalidPartOrder"),
        _DAMAGED,
    ),
    **dict.fromkeys(
        (
            "AuthorizationHeaderMalformed", "PermanentRedirect", "Redirect", "TemporaryRedirect",
            "IllegalLocationConstraintException", "InvalidLocationConstraint", "301", "307",
        ),
        _ELSEWHERE,
    ),
    **dict.fromkeys(("NotImplemented", "501", "MethodNotAllowed", "405"), _UNABLE),
    **dict.fromkeys(
        (
            "EntityTooLarge", "EntityTooSmall", "InlineDataTooLarge", "MaxMessageLengthExceeded", "MetadataTooLarge",
            "MaxPostPreDataLengthExceededError", "KeyTooLongError",
        ),
        _TOO_LARGE,
    ),
    "InvalidObjectState": Meaning(
        StorageError, "The object was moved to an archive class: restore it, and keep lifecycle rules off the store"
    ),
    "ObjectLockConfigurationNotFoundError": _REFUSED,
    **dict.fromkeys(
        ("KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"),
        Meaning(StorageError, "Check the KMS key of the bucket or of the option kms_key"),
    ),
    **dict.fromkeys(
        (
            "AmbiguousGrantByEmailAddress", "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNotEmpty",
            "IllegalVersioningConfigurationException", "IncorrectNumberOfFilesInPostRequest", "InvalidAddressingHeader",
            "InvalidArgument", "InvalidBucketName", "InvalidBucketState", "InvalidEncryptionAlgorithmError",
            "InvalidPolicyDocument", "InvalidRange", "InvalidRequest", "InvalidSOAPRequest", "InvalidStorageClass",
            "InvalidTargetBucketForLogging", "InvalidURI", "MalformedACLError", "MalformedPOSTRequest", "MalformedXML",
            "MissingAttachment", "MissingContentLength", "MissingRequestBodyError", "NoLoggingStatusForKey",
            "NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "RequestIsNotMultiPartContent",
            "RequestTorrentOfBucketError", "TooManyBuckets", "UnexpectedContent", "UnresolvableGrantByEmailAddress",
            "UserKeyMustBeSpecified", "400", "416",
        ),
        _REFUSED,
    ),
}  # fmt: skip
"""What S3 calls it -> what it means. HEAD requests have no body, so their code is the status."""


def _named(names: str, meaning: Meaning) -> dict[type[BaseException], Meaning]:
    # Of one botocore or another: not every release has each of them.
    found = (getattr(botocore.exceptions, name, None) for name in names.split())
    return {kind: meaning for kind in found if kind is not None}


EXCEPTIONS: Final[Mapping[type[BaseException], Meaning]] = {
    **TRANSPORT,
    **_named(
        "NoCredentialsError PartialCredentialsError CredentialRetrievalError UnknownCredentialError "
        "MetadataRetrievalError NoAuthTokenError TokenRetrievalError UnknownTokenProviderError "
        "InvalidIMDSEndpointError InvalidIMDSEndpointModeError RefreshWithMFAUnsupportedError LoginError",
        Meaning(PermissionDeniedError, f"{_CREDENTIALS}; for a public bucket set anonymous = true"),
    ),
    **_named("SSOError UnauthorizedSSOTokenError LoginRefreshRequired", _EXPIRED),
    **_named(
        "EndpointConnectionError ConnectTimeoutError ProxyConnectionError ConnectionError",
        Meaning(TransientStorageError, REACH),
    ),
    **_named("SSLError", Meaning(StorageError, CERTIFICATE)),
    **_named(
        "HTTPClientError ConnectionClosedError ReadTimeoutError ResponseStreamingError IncompleteReadError "
        "AwsChunkedWrapperError CapacityNotAvailableError",
        _LATER,
    ),
    **_named("ChecksumError FlexibleChecksumError", _DAMAGED),
    **_named(
        "DataNotFoundError UnknownRegionError ApiVersionNotFoundError UnknownSignatureVersionError "
        "ServiceNotInRegionError BaseEndpointResolverError ProfileNotFound ConfigParseError ConfigNotFound "
        "UnknownServiceStyle UnsupportedSignatureVersionError InvalidDNSNameError InvalidS3AddressingStyleError "
        "UnsupportedS3ArnError UnsupportedS3ControlArnError InvalidHostLabelError UnsupportedOutpostResourceError "
        "UnsupportedS3ConfigurationError UnsupportedS3AccesspointConfigurationError "
        "InvalidEndpointDiscoveryConfigurationError UnsupportedS3ControlConfigurationError "
        "InvalidRetryConfigurationError InvalidS3UsEast1RegionalEndpointConfigError "
        "InvalidSTSRegionalEndpointsConfigError InvalidConfigError InvalidProxiesConfigError InvalidDefaultsMode "
        "InvalidEndpointConfigurationError EndpointProviderError InvalidChecksumConfigError "
        "UnsupportedServiceProtocolsError MissingDependencyException MD5UnavailableError",
        _CONFIGURED,
    ),
    EndpointDiscoveryException: _CONFIGURED,
    **_named(
        "MissingParametersError ValidationError ParamValidationError PaginationError OperationNotPageableError "
        "UnseekableStreamError WaiterError WaiterConfigError InvalidExpressionError UnknownClientMethodError "
        "StubResponseError EventStreamError UndefinedModelAttributeError MissingServiceIdError",
        _REFUSED,
    ),
}
"""What botocore raises without an answer of the service, looked up from the class upwards."""


def code_of(error: ClientError) -> str:
    """What the service calls it, or its status."""
    return str(error.response.get("Error", {}).get("Code") or status_of(error))


def status_of(error: ClientError) -> int:
    """The HTTP status of a response."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def meaning_of(error: BaseException) -> Meaning | None:
    """Return what an exception means, by its class and code, or None if it is of another kind."""
    if isinstance(error, ClientError):
        status = status_of(error)
        known = CODES.get(code_of(error)) or CODES.get(str(status))
        return known or by_status(status)
    return look_up(type(error), EXCEPTIONS) or (Meaning(StorageError) if isinstance(error, BotoCoreError) else None)


@contextmanager
def translate_errors(request: Request) -> Generator[None]:
    """Turn what s3fs, botocore and aiohttp raise in the block into one of our errors.

    Raises:
        RunfolioError: what the exception means.
    """
    try:
        yield
    except RunfolioError:
        raise  # some of ours are OSErrors too
    except (ClientError, BotoCoreError, aiohttp.ClientError, OSError) as error:
        meaning = meaning_of(error)
        assert meaning is not None
        if meaning.kind is NotFoundError and request.operation not in LOOKING:
            meaning = NOTHING_THERE
        if meaning.kind is AlreadyExistsError and request.operation != "create":
            meaning = Meaning(TransientStorageError, "The object was replaced meanwhile")
        code = code_of(error) if isinstance(error, ClientError) else ""
        raise our_error(error, meaning, request, code) from cause_of(error)
