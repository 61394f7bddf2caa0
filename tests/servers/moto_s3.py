"""S3 and IAM by moto, with authentication on: unknown keys, wrong secrets and what no policy allows are refused.

What it lacks of the real thing: it does not look at the time of a request, session tokens do not expire, conditions in
policies are not evaluated, and it closes the connection after each answer.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from server_process import LOOPBACK, RunningServer, running
from store_access import S3Key, TestStore, aws_client, random_name, s3_environment

EVERYTHING: Sequence[Mapping[str, Any]] = ({"Effect": "Allow", "Action": "*", "Resource": "*"},)

_APPLICATION = Path(__file__).with_name("moto_application.py")


@dataclass(frozen=True)
class MotoS3:
    """A running server.

    Attributes:
        server: its process.
        admin: an access key that may do everything.
    """

    server: RunningServer
    admin: S3Key

    @property
    def endpoint(self) -> str:
        """Where clients send their requests."""
        return self.server.url

    @cached_property
    def s3(self) -> Any:
        """A botocore client of the administrator."""
        return aws_client("s3", self.endpoint, self.admin)

    @cached_property
    def iam(self) -> Any:
        """A botocore client of the administrator for users and policies."""
        return aws_client("iam", self.endpoint, self.admin)

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = random_name("bucket")
        self.s3.create_bucket(Bucket=name)
        return name

    def key(self, *statements: Mapping[str, Any]) -> S3Key:
        """Make a user with one policy of these statements, and return an access key of that user."""
        return _user(self.iam, statements)

    def temporary_key(self, *statements: Mapping[str, Any]) -> S3Key:
        """Return session credentials (with a token) of a new role with one policy of these statements."""
        name = random_name("role")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=_policy(statements))
        sts = aws_client("sts", self.endpoint, self.admin)
        made = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return S3Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def store(self, key: S3Key | None = None, bucket: str | None = None, endpoint: str | None = None) -> TestStore:
        """Return access to a store.

        Args:
            key: the credentials; the administrator's by default.
            bucket: where; a new bucket by default.
            endpoint: where requests go, for example to a proxy; the server itself by default.
        """
        variables = s3_environment(endpoint or self.endpoint, key or self.admin)
        return TestStore(f"s3://{bucket or self.bucket()}/history", environment=variables)


def allow(bucket: str, *, on_bucket: Sequence[str] = (), on_objects: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return policy statements that allow actions (without ``s3:``) on one bucket and on the objects in it."""
    arn = f"arn:aws:s3:::{bucket}"
    return [
        {"Effect": "Allow", "Action": [f"s3:{one}" for one in actions], "Resource": resource}
        for actions, resource in ((on_bucket, arn), (on_objects, f"{arn}/*"))
        if actions
    ]


@contextmanager
def moto_s3(folder: Path) -> Generator[MotoS3, None, None]:
    """Run the server for as long as the context lasts."""
    with running(lambda ports: [sys.executable, str(_APPLICATION), LOOPBACK, str(ports[0])], folder) as server:
        # Nobody has a key yet, so the first user is made while none is needed.
        admin = _user(aws_client("iam", server.url, S3Key("none", "none")), EVERYTHING)
        switch = urllib.request.Request(
            f"{server.url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.urlopen(switch) as answer:
            assert answer.status == 200
        yield MotoS3(server, admin)


def _user(iam: Any, statements: Sequence[Mapping[str, Any]]) -> S3Key:
    name = random_name("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=_policy(statements))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return S3Key(made["AccessKeyId"], made["SecretAccessKey"])


def _policy(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
