"""How an S3 backend asks the service: with the client of s3fs, one request for each call.

What s3fs itself makes of files is not the contract of a backend: see docs/design/004-cloud-backends.md.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, final

import botocore
from botocore.exceptions import ClientError

from runfolio.backend import ObjectInfo
from runfolio.errors import ConfigurationError
from runfolio_backends import s3_errors
from runfolio_backends.cloud_errors import Request, cause_of, our_error
from runfolio_backends.cloud_requests import NOTHING, Page, Remote, Requests
from runfolio_backends.fsspec_adapter import disown
from runfolio_backends.s3_options import NAME

if TYPE_CHECKING:
    import s3fs

    from runfolio_backends.cloud_requests import Take

_CONFLICTS: Final = 4
_PIECE: Final = 256 * 1024
"""The most that is read of an answer at once. The HTTP client holds up to twice as much for each connection."""
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
_NOT_COPIED: Final = frozenset({"InvalidRequest", "EntityTooLarge", "NotImplemented", "MethodNotAllowed"})
"""What S3 answers when an object cannot be copied in one request, for one because it is larger than 5 GiB."""


@final
class S3Requests(Requests):
    """Requests to one bucket.

    Args:
        filesystem: has the session and the client.
        bucket: its name.
        url: the root of the store, for messages.
        arguments: sent with each request.
        object_arguments: said of each new object.
        observe_date: told the date of each response.
    """

    delete_at_once = 1000
    streams = True

    def __init__(
        self,
        filesystem: s3fs.S3FileSystem,
        bucket: str,
        url: str,
        *,
        arguments: Mapping[str, str],
        object_arguments: Mapping[str, str],
        observe_date: Callable[[str | None], None],
    ) -> None:
        self._filesystem = filesystem
        self._bucket = bucket
        self._url = url
        self._arguments = {"Bucket": bucket, **arguments}
        self._object_arguments = dict(object_arguments)
        self._observe_date = observe_date
        self._connecting = asyncio.Lock()
        self._connected: Any = None
        self._bucket_seen = False

    async def _client(self) -> Any:
        async with self._connecting:
            if self._connected is None:
                client = await self._filesystem.set_session()
                disown(self._filesystem)
                put = client.meta.service_model.operation_model("PutObject").input_shape
                if "IfNoneMatch" not in put.members:
                    raise ConfigurationError(
                        f"botocore {botocore.__version__} cannot create an object only where none is: "
                        "upgrade it (`pip install -U s3fs aiobotocore botocore`)",
                        backend=NAME,
                    )
                client.meta.events.register("after-call.s3", self._after_call)
                self._connected = client
            return self._connected

    async def close(self) -> None:  # noqa: D102 (docstring inherited)
        client, self._connected = self._connected, None
        if client is not None:
            await client.close()

    def _after_call(self, http_response: Any, **_: Any) -> None:
        self._observe_date(http_response.headers.get("date"))

    async def receive(self, path: str, start: int | None, end: int | None, take: Take, etag: str = "") -> Remote:  # noqa: D102 (docstring inherited)
        span = _range(start, end)
        client = await self._client()
        chosen = {"Key": path, **({"Range": span} if span else {}), **({"IfMatch": etag} if etag else {})}
        try:
            response = await client.get_object(**self._arguments, **chosen)
        except ClientError as error:
            if s3_errors.status_of(error) == 416:  # noqa: PLR2004 (range not satisfiable: it begins after the end)
                return NOTHING
            raise
        size = int(response.get("ContentRange", "").rpartition("/")[2] or response["ContentLength"])
        first, last, _ = slice(start, end).indices(size)
        # A service that knows no ranges sends all of it.
        at = 0 if response["ResponseMetadata"]["HTTPStatusCode"] == 200 else first  # noqa: PLR2004
        async with response["Body"] as body:
            while piece := await body.read(_PIECE):
                await take(piece[max(0, first - at) : max(0, last - at)])
                at += len(piece)
        return Remote(size, response["LastModified"], response["ETag"])

    async def put(self, path: str, data: bytes, *, absent: bool = False) -> None:  # noqa: D102 (docstring inherited)
        client = await self._client()
        condition = {"IfNoneMatch": "*"} if absent else {}
        for attempt in range(_CONFLICTS):
            try:
                await client.put_object(Key=path, Body=data, **self._arguments, **self._object_arguments, **condition)
            except ClientError as error:
                # Another writer or a delete was at it in the same instant; who won is not decided yet.
                if s3_errors.code_of(error) != "ConditionalRequestConflict" or attempt == _CONFLICTS - 1:
                    raise
                await asyncio.sleep(0.05 * 2**attempt * random.random())
            else:
                return

    async def page(self, prefix: str, start_after: str, limit: int, more: str | None) -> Page:  # noqa: D102 (docstring inherited)
        client = await self._client()
        begin = {"ContinuationToken": more} if more else {"StartAfter": start_after} if start_after else {}
        response = await client.list_objects_v2(Prefix=prefix, MaxKeys=limit, **self._arguments, **begin)
        self._bucket_seen = True
        objects = [ObjectInfo(one["Key"], one["Size"], one["LastModified"]) for one in response.get("Contents", ())]
        return Page(objects, response["NextContinuationToken"] if response.get("IsTruncated") else None)

    async def stat(self, path: str) -> Remote:  # noqa: D102 (docstring inherited)
        client = await self._client()
        try:
            found = await client.head_object(Key=path, **self._arguments)
        except ClientError as error:
            if s3_errors.status_of(error) == 404:  # noqa: PLR2004 (without a body, so it does not say of what)
                await self._require_bucket(client)
            raise
        return Remote(found["ContentLength"], found["LastModified"], found["ETag"])

    async def _require_bucket(self, client: Any) -> None:
        if self._bucket_seen:
            return
        try:
            await client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if s3_errors.status_of(error) != 404:  # noqa: PLR2004 (it is there, and this may not be asked)
                return
            request = Request(NAME, "stat", "", self._url)
            raise our_error(error, s3_errors.CODES["NoSuchBucket"], request, "NoSuchBucket") from cause_of(error)
        self._bucket_seen = True

    async def delete(self, paths: list[str]) -> None:  # noqa: D102 (docstring inherited)
        client = await self._client()
        if len(paths) == 1:
            try:
                await client.delete_object(Key=paths[0], **self._arguments)
            except ClientError as error:
                if s3_errors.code_of(error) not in _GONE:
                    raise
            return
        objects = {"Objects": [{"Key": path} for path in paths], "Quiet": True}
        response = await client.delete_objects(Delete=objects, **self._arguments)
        for one in response.get("Errors", ()):
            if one.get("Code") not in _GONE:
                raise ClientError({**response, "Error": one}, "DeleteObjects")

    async def copy(self, bucket: str, source: str, path: str) -> bool:
        """Copy an object that these credentials reach; False where one request cannot do it."""
        client = await self._client()
        try:
            await client.copy_object(
                Key=path, CopySource={"Bucket": bucket, "Key": source}, **self._arguments, **self._object_arguments
            )
        except ClientError as error:
            if s3_errors.code_of(error) in _NOT_COPIED:
                return False
            raise
        return True

    async def begin(self, path: str) -> str:  # noqa: D102 (docstring inherited)
        client = await self._client()
        begun = await client.create_multipart_upload(Key=path, **self._arguments, **self._object_arguments)
        return str(begun["UploadId"])

    async def part(self, path: str, upload: str, number: int, data: bytes) -> dict[str, Any]:  # noqa: D102 (docstring inherited)
        client = await self._client()
        sent = await client.upload_part(Key=path, UploadId=upload, PartNumber=number, Body=data, **self._arguments)
        kept = {name: value for name, value in sent.items() if name.startswith("Checksum") and name != "ChecksumType"}
        return {"PartNumber": number, "ETag": sent["ETag"], **kept}

    async def complete(self, path: str, upload: str, parts: list[Any]) -> None:  # noqa: D102 (docstring inherited)
        client = await self._client()
        made = {"Parts": parts}
        await client.complete_multipart_upload(Key=path, UploadId=upload, MultipartUpload=made, **self._arguments)

    async def abort(self, path: str, upload: str) -> None:  # noqa: D102 (docstring inherited)
        client = await self._client()
        await client.abort_multipart_upload(Key=path, UploadId=upload, **self._arguments)


def _range(start: int | None, end: int | None) -> str:
    """The header of a range that is not empty; an empty text for the whole object."""
    if start is not None and start < 0:
        return f"bytes={start}"
    return "" if not start and end is None else f"bytes={start or 0}-{'' if end is None else end - 1}"
