"""How an Azure backend asks the service: with the client of adlfs, one request for each call.

What adlfs itself makes of files is not the contract of a backend: see docs/design/004-cloud-backends.md.
"""

from __future__ import annotations

import base64
import io
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, final

from adlfs import AzureBlobFileSystem
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import BlobBlock, BlobSasPermissions, generate_blob_sas
from azure.storage.blob import __version__ as sdk_version
from azure.storage.blob.aio import BlobServiceClient

from runfolio.backend import ObjectInfo
from runfolio_backends import azure_errors
from runfolio_backends.cloud_requests import NOTHING, Page, Remote, Requests
from runfolio_backends.cloud_transfers import several

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

    from runfolio_backends.azure_options import Account
    from runfolio_backends.cloud_requests import Take

SINGLE_PUT: Final = 5000 * 1024 * 1024
"""The largest blob that one request stores."""
_COPIED_AT_ONCE: Final = 256 * 1024 * 1024
"""The largest blob that the service copies before it answers."""
_FOLDER: Final = "hdi_isfolder"
"""Metadata by which accounts with a hierarchical namespace mark a folder."""
_STARTS_FROM: Final = tuple(int(part) for part in sdk_version.split(".")[:2] if part.isdigit()) >= (12, 28)
"""Whether this SDK can begin a listing at a name."""
_DELETED_AT_ONCE: Final = 32
_LARGE_BODY: Final = 1024 * 1024
_ROOM: Final = 100
"""A page holds at least so many: marks of folders may be among them."""


class Transport(AioHttpTransport):  # type: ignore[misc]  # its module loads it on use, without a type
    """The transport of the SDK, sending large bodies piece by piece: aiohttp warns of those that block its loop."""

    async def send(self, request: Any, **config: Any) -> Any:  # noqa: D102 (docstring inherited)
        if isinstance(request.data, bytes) and len(request.data) > _LARGE_BODY:
            request.data = io.BytesIO(request.data)
        return await super().send(request, **config)


class FileSystem(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs is not typed
    """The file system of adlfs, with a client that has our timeouts, certificates and no retries of its own.

    Args:
        client_arguments: what `BlobServiceClient` is made with.
        arguments: what adlfs is made with.
    """

    def __init__(self, client_arguments: Mapping[str, Any], **arguments: Any) -> None:
        self._client_arguments = dict(client_arguments)
        super().__init__(**arguments)

    def do_connect(self) -> None:
        """Make the client. adlfs calls this when it has found out which credential to use."""
        arguments: dict[str, Any] = {"credential": self.credential, **self._client_arguments}
        self.service_client = BlobServiceClient(**arguments, transport=Transport(**self._client_arguments))


@final
class AzureRequests(Requests):
    """Requests to one container.

    Args:
        filesystem: has the client and the credential.
        account: where requests go.
        container: its name.
        blob_arguments: said of each new blob.
    """

    delete_at_once = 256
    streams = False

    def __init__(
        self, filesystem: FileSystem, account: Account, container: str, *, blob_arguments: Mapping[str, Any]
    ) -> None:
        self._filesystem = filesystem
        self._account = account
        self._container_name = container
        self._container = filesystem.service_client.get_container_client(container)
        self._blob_arguments = dict(blob_arguments)

    def _blob(self, path: str) -> BlobClient:
        return self._container.get_blob_client(path)

    async def close(self) -> None:  # noqa: D102 (docstring inherited)
        await self._filesystem.service_client.close()
        close = getattr(self._filesystem.credential, "close", None)
        if close is not None:
            await close()

    async def receive(self, path: str, start: int | None, end: int | None, take: Take, etag: str = "") -> Remote:
        """Hand on a range as one piece. From the end takes two requests: the service knows no such range."""
        if start is not None and start < 0:
            found = await self.stat(path)
            start, etag = max(0, found.size + start), found.etag
            if start >= found.size:
                return NOTHING
        chosen: dict[str, Any] = {}
        if start is not None or end is not None:
            chosen.update(offset=start or 0, length=None if end is None else end - (start or 0))
        if etag:
            chosen.update(etag=etag, match_condition=MatchConditions.IfNotModified)
        try:
            stream = await self._blob(path).download_blob(**chosen)
            if _is_folder(stream.properties):
                raise ResourceNotFoundError("a folder")
            async for piece in stream.chunks():  # without the two further copies that `readall` makes
                await take(piece)
        except HttpResponseError as error:
            if error.status_code == 416:  # noqa: PLR2004 (range not satisfiable: it begins after the end)
                return NOTHING
            raise
        found = stream.properties
        # `size` is that of the range.
        size = int((found.content_range or "").rpartition("/")[2] or found.size)
        return Remote(size, found.last_modified, found.etag)

    async def put(self, path: str, data: bytes, *, absent: bool = False) -> None:  # noqa: D102 (docstring inherited)
        # The client was told to send up to SINGLE_PUT in one request. `overwrite=False` is If-None-Match: *.
        await self._blob(path).upload_blob(data, length=len(data), overwrite=not absent, **self._blob_arguments)

    async def page(self, prefix: str, start_after: str, limit: int, more: str | None) -> Page:  # noqa: D102 (docstring inherited)
        chosen: dict[str, Any] = {"name_starts_with": prefix or None, "include": ["metadata"]}
        if _STARTS_FROM and start_after > prefix:
            chosen["start_from"] = start_after
        pages = self._container.list_blobs(results_per_page=max(limit, _ROOM), **chosen).by_page(more)
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            return Page([], None)
        objects = [ObjectInfo(one.name, one.size or 0, one.last_modified) async for one in page if not _is_folder(one)]
        return Page(objects, getattr(pages, "continuation_token", None) or None)

    async def stat(self, path: str) -> Remote:  # noqa: D102 (docstring inherited)
        found = await self._blob(path).get_blob_properties()
        if _is_folder(found):
            raise ResourceNotFoundError("a folder")
        return Remote(found.size, found.last_modified, found.etag)

    async def delete(self, paths: list[str]) -> None:
        """Delete blobs, one request each, several at a time: not every service and credential knows batches."""

        async def delete(number: int) -> None:
            try:
                await self._blob(paths[number]).delete_blob(delete_snapshots="include")
            except HttpResponseError as error:
                if azure_errors.code_of(error) not in _GONE:
                    raise

        await several(range(len(paths)), delete, _DELETED_AT_ONCE)

    async def begin(self, path: str) -> str:  # noqa: ARG002 (the name says nothing of the blob)
        """Name an upload; it takes no request."""
        return secrets.token_hex(8)

    async def part(self, path: str, upload: str, number: int, data: bytes) -> str:  # noqa: D102 (docstring inherited)
        name = base64.b64encode(f"{upload}-{number:08d}".encode()).decode()
        scope = {name: value for name, value in self._blob_arguments.items() if name == "encryption_scope"}
        await self._blob(path).stage_block(name, data, length=len(data), **scope)
        return name

    async def complete(self, path: str, upload: str, parts: list[Any]) -> None:  # noqa: ARG002, D102 (inherited)
        await self._blob(path).commit_block_list([BlobBlock(block_id=name) for name in parts], **self._blob_arguments)

    async def abort(self, path: str, upload: str) -> None:
        """Do nothing: the service forgets blocks that were not committed, after a week."""

    async def copy(self, container: str, source: str, path: str) -> bool:
        """Copy a blob of this account; False where the service cannot do it before it answers."""
        blob = self._filesystem.service_client.get_blob_client(container, source)
        if (await blob.get_blob_properties()).size > _COPIED_AT_ONCE:
            return False
        url, chosen = blob.url, dict[str, Any]()
        if self._account.kind == "key":
            url = f"{url}?{self._read_signature(container, source)}"
        elif self._account.kind == "default":
            credential: Any = self._filesystem.credential
            token = await credential.get_token("https://storage.azure.com/.default")
            chosen["source_authorization"] = f"Bearer {token.token}"
        try:
            await self._blob(path).start_copy_from_url(url, requires_sync=True, **chosen)
        except HttpResponseError as error:
            if error.status_code is not None and error.status_code < 500 and error.status_code != 429:  # noqa: PLR2004
                return False  # it cannot be done so; the caller reads and writes, and learns why if that fails too
            raise
        return True

    def _read_signature(self, container: str, source: str) -> str:
        return generate_blob_sas(
            self._account.name,
            container,
            source,
            account_key=self._account.secret,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )


_GONE: Final = frozenset({"BlobNotFound", "ResourceNotFound", "PathNotFound", "DirectoryIsNotEmpty"})
"""Nothing is there that could be deleted: no blob, or the folder above others."""


def _is_folder(properties: Any) -> bool:
    metadata = properties.metadata or {}
    return str(metadata.get(_FOLDER, "")).lower() == "true"


def client_arguments(
    account: Account, options: Mapping[str, Any], observe: Callable[[str | None], None]
) -> dict[str, Any]:
    """Return what the client is made with.

    Args:
        account: where requests go.
        options: those of the store.
        observe: told the date of each response.
    """
    arguments: dict[str, Any] = {
        "account_url": f"{account.url}?{(account.secret or '').lstrip('?')}" if account.kind == "sas" else account.url,
        # Whether a request is sent again, and until when, is decided in one place above the backends.
        "retry_total": 0,
        "connection_timeout": options.get("connect_timeout", 5.0),
        "read_timeout": options.get("read_timeout", 30.0),
        "max_single_put_size": SINGLE_PUT,
        "max_single_get_size": SINGLE_PUT,
        "max_chunk_get_size": SINGLE_PUT,
        "raw_response_hook": lambda answer: observe(answer.http_response.headers.get("date")),
    }
    if account.kind in ("sas", "anonymous"):
        arguments["credential"] = None
    if account.kind == "key":
        arguments["credential"] = {"account_name": account.name, "account_key": account.secret}
    if "proxy" in options:
        arguments["proxies"] = {"http": options["proxy"], "https": options["proxy"]}
    if "ca_bundle" in options:
        arguments["connection_verify"] = options["ca_bundle"]
    return arguments
