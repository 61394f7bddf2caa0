"""A store in a bucket of S3, or of a service that speaks its protocol. Built on s3fs."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Unpack, final

import s3fs
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from runfolio.errors import ConfigurationError
from runfolio_backends.cloud import CloudBackend
from runfolio_backends.cloud_transfers import Sizes
from runfolio_backends.fsspec_adapter import FRESH
from runfolio_backends.s3_errors import translate_errors
from runfolio_backends.s3_options import NAME, S3Options, filesystem_arguments, object_arguments, s3_options
from runfolio_backends.s3_requests import S3Requests

if TYPE_CHECKING:
    from runfolio.backend import Backend

_URL: Final = re.compile(r"s3a?://(?P<bucket>[^/@?#]+)(?:/(?P<prefix>.*))?", re.DOTALL)
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_MOST_PARTS: Final = 10_000
_NOT_OF_THE_WAY: Final = frozenset(
    {"storage_class", "sse", "kms_key", "concurrency", "part_size", "single_writer", "requester_pays"}
)
"""Options that decide neither where requests go nor who makes them."""


@final
class S3Backend(CloudBackend):
    """Objects in a bucket, below a prefix. Any number of processes on any number of machines may use it at once.

    Args:
        url: ``s3://bucket/prefix``.
        options: see `runfolio_backends.s3_options.S3Options`.

    Raises:
        ConfigurationError: the URL names no bucket, or an option is unknown or wrong.
    """

    name = NAME
    _translate = staticmethod(translate_errors)

    def __init__(self, url: str, **options: Unpack[S3Options]) -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise ConfigurationError(
                f"{url!r} is not the URL of an S3 store: expected s3://bucket/prefix", backend=NAME
            )
        checked = s3_options(options)
        prefix = (found["prefix"] or "").strip("/")
        super().__init__(
            f"s3://{found['bucket']}/{prefix}",
            checked,
            root=f"{prefix}/" if prefix else "",
            sizes=Sizes(checked.get("part_size", 6 * 1024 * 1024), _MOST_PARTS, checked.get("concurrency", 4)),
        )
        self._checked = checked
        self.bucket = found["bucket"]

    def _connect(self) -> S3Requests:
        with self._asking("connect", ""):
            session = _session(self._checked.get("profile"))
            elsewhere = (*map(os.environ.get, _ENDPOINTS), session.get_scoped_config().get("endpoint_url"))
        own = "endpoint" in self._checked or any(elsewhere)
        known = [name for name in Config.OPTION_DEFAULTS if f"AWS_{name.upper()}" not in os.environ]
        arguments: dict[str, Any] = {
            "session": session,
            **filesystem_arguments(self._checked, own_endpoint=own, known=known),
            **FRESH,
        }
        return S3Requests(
            s3fs.S3FileSystem(**arguments),
            self.bucket,
            self._url,
            arguments={"RequestPayer": "requester"} if self._checked.get("requester_pays") else {},
            object_arguments=object_arguments(self._checked),
            observe_date=self.observe_date,
        )

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        """Copy an object of another S3 store on the server, where the same endpoint and credentials reach both.

        False for an object above 5 GiB: S3 does not copy it in one request.
        """
        if not isinstance(source, S3Backend) or source.reached_by != self.reached_by:
            return False
        requests: S3Requests = self._connected()
        with self._asking("copy", source_key):
            return self._run(requests.copy(source.bucket, source.root + source_key, self.root + key))

    @property
    def reached_by(self) -> dict[str, Any]:
        """The options that decide where requests go and who makes them."""
        return {name: value for name, value in self._options.items() if name not in _NOT_OF_THE_WAY}


def _session(profile: str | None) -> AioSession:
    """Return a session that shares botocore's description of S3 with the others: reading it takes a tenth of a second.

    Credentials are not shared: they may differ from one backend to the next, with the environment.
    """
    session = AioSession(profile=profile)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@cache
def _loader(data_path: str | None) -> Loader:
    return create_loader(data_path)
