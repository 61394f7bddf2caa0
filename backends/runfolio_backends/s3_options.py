"""The options of an S3 store, and what becomes of them in s3fs and botocore."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypedDict

from runfolio.errors import ConfigurationError
from runfolio_backends.cloud_options import checked_options, merged

NAME: Final = "s3"


class S3Options(TypedDict, total=False):
    """Every option of an S3 store. All can be left out."""

    endpoint: str
    """URL of the service, for anything but AWS: ``https://<account>.r2.cloudflarestorage.com``. By default what
    ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` or the profile say, else AWS."""
    region: str
    """Region of the bucket. By default what ``AWS_REGION``, ``AWS_DEFAULT_REGION`` or the profile say."""
    profile: str
    """Profile in ``~/.aws/config``. By default ``AWS_PROFILE``, else the default profile."""
    anonymous: bool
    """Send requests without a signature, for public buckets. By default false."""
    addressing: Literal["auto", "path", "virtual"]
    """Where the bucket stands: in the path of the URL, or in the name of the host. By default botocore decides."""
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"]
    """Server-side encryption that is asked for with each object. By default the bucket decides."""
    kms_key: str
    """Id or ARN of the KMS key. Needs `sse` with KMS."""
    storage_class: str
    """Storage class of new objects, such as ``INTELLIGENT_TIERING``. By default ``STANDARD``. Classes that must be
    restored before they can be read (``GLACIER``, ``DEEP_ARCHIVE``) make a store unreadable."""
    requester_pays: bool
    """Pay for requests to a bucket whose owner asks that. By default false."""
    checksums: Literal["when_supported", "when_required"]
    """When the client adds checksums of its own. By default ``when_required`` outside of AWS, since many services
    refuse them, and botocore's default otherwise."""
    proxy: str
    """URL of an HTTP proxy. By default ``HTTPS_PROXY`` and ``HTTP_PROXY``."""
    ca_bundle: str
    """File with the certificates of the authorities to trust. By default ``AWS_CA_BUNDLE``, else those of botocore."""
    connect_timeout: float
    """Seconds to wait for a connection. By default 5."""
    read_timeout: float
    """Seconds to wait for the next bytes of a response. By default 30."""
    concurrency: int
    """Parts of one file that are on the way at the same time. By default 4."""
    part_size: int
    """Bytes in a part of a large file; at least 5 MiB. By default 6 MiB. Memory: about `concurrency` times this."""
    single_writer: bool
    """Accept a service without create-if-absent: `create` looks first, then puts. The setting of this name sets it."""
    key: str
    """Access key id. From code only: in a file it is refused."""
    secret: str
    """Secret access key. From code only."""
    token: str
    """Session token. From code only."""
    storage_options: Mapping[str, Any]
    """Handed to `s3fs.S3FileSystem` as it is, over what the options above say."""


_SPELLINGS: Final = {
    "endpoint_url": "endpoint",
    "anon": "anonymous",
    "region_name": "region",
    "profile_name": "profile",
    "key": "key",
    "secret": "secret",
    "token": "token",
    "requester_pays": "requester_pays",
    "max_concurrency": "concurrency",
    "profile": "profile",
}
_LEAST_PART: Final = 5 * 1024 * 1024


def s3_options(given: Mapping[str, Any]) -> S3Options:
    """Return the options of an S3 store after looking at each of them.

    Raises:
        ConfigurationError: an option is unknown, wrong, given twice, or does not go with another.
    """
    options: S3Options = checked_options(given, S3Options, NAME, _SPELLINGS)  # type: ignore[assignment]  # just checked
    if "kms_key" in options and not options.get("sse", "").startswith("aws:kms"):
        raise ConfigurationError("The option 'kms_key' needs sse = 'aws:kms'", backend=NAME, key="kms_key")
    if options.get("part_size", _LEAST_PART) < _LEAST_PART:
        raise ConfigurationError("The option 'part_size' must be at least 5 MiB", backend=NAME, key="part_size")
    if ("key" in options) != ("secret" in options):
        raise ConfigurationError("The options 'key' and 'secret' go together", backend=NAME, key="key")
    if options.get("anonymous") and ("key" in options or "profile" in options):
        raise ConfigurationError("The option 'anonymous' goes with neither 'key' nor 'profile'", backend=NAME)
    return options


def filesystem_arguments(options: S3Options, *, own_endpoint: bool, known: Collection[str]) -> dict[str, Any]:
    """Return what `s3fs.S3FileSystem` is made with.

    Args:
        options: the options of the store.
        own_endpoint: the service is not that of AWS.
        known: the settings that this botocore's `Config` knows, and that nobody has made elsewhere.
    """
    config: dict[str, Any] = {
        "connect_timeout": options.get("connect_timeout", 5.0),
        "read_timeout": options.get("read_timeout", 30.0),
        "max_pool_connections": max(32, 4 * options.get("concurrency", 4)),
        # One attempt: whether to send a request again, and until when, is decided in one place above the backends.
        "retries": {"total_max_attempts": 1, "mode": "standard"},
    }
    if "addressing" in options:
        config["s3"] = {"addressing_style": options["addressing"]}
    if "proxy" in options:
        config["proxies"] = {"http": options["proxy"], "https": options["proxy"]}
    checksums = options.get("checksums", "when_required" if own_endpoint else None)
    for setting in ("request_checksum_calculation", "response_checksum_validation"):
        if checksums is not None and setting in known:
            config[setting] = checksums
    client: dict[str, Any] = {}
    if "region" in options:
        client["region_name"] = options["region"]
    if "ca_bundle" in options:
        client["verify"] = options["ca_bundle"]
    ours: dict[str, Any] = {
        "anon": options.get("anonymous", False),
        "endpoint_url": options.get("endpoint"),
        "key": options.get("key"),
        "secret": options.get("secret"),
        "token": options.get("token"),
        "client_kwargs": client,
        "config_kwargs": config,
    }
    return merged(ours, options.get("storage_options", {}))


def object_arguments(options: S3Options) -> dict[str, str]:
    """Return what is said of each new object: encryption and storage class."""
    names = {"sse": "ServerSideEncryption", "kms_key": "SSEKMSKeyId", "storage_class": "StorageClass"}
    return {names[ours]: str(value) for ours, value in options.items() if ours in names}
