"""What a test is given to reach a store on a server: its URL, and the environment that carries the credentials."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class TestStore:
    """A place for one store, empty and of the test's own.

    Attributes:
        url: the root of the store.
        options: storage options it needs beside the environment.
        environment: variables a process needs to reach it. The fixtures set them in this process as well.
    """

    __test__: ClassVar[bool] = False  # the name begins like a test's

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class S3Key:
    """An access key.

    Attributes:
        id: the access key id.
        secret: the secret access key.
        token: the session token of temporary credentials, or an empty text.
    """

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


NO_CLOUD: Mapping[str, str] = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Variables that keep the clients of the clouds away from the user's own files and from the network."""


def random_name(prefix: str) -> str:
    """Return a name that no other test uses, fit for a bucket, a container or a user."""
    return f"{prefix}-{secrets.token_hex(8)}"


def s3_environment(endpoint: str, key: S3Key) -> dict[str, str]:
    """Return the variables with which any client of S3 reaches a server."""
    variables = {
        **NO_CLOUD,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }
    if key.token:
        variables["AWS_SESSION_TOKEN"] = key.token
    return variables


def aws_client(service: str, endpoint: str, key: S3Key) -> Any:
    """Return a botocore client that sends each request once, so that a test sees each answer."""
    from botocore.config import Config
    from botocore.session import Session

    return Session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        aws_session_token=key.token or None,
        config=Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            max_pool_connections=20,
            response_checksum_validation="when_required",
        ),
    )
