"""What both clouds have in common when a request fails: how our error is made of theirs, and what lies below HTTP."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from runfolio.config import redact_text
from runfolio.errors import NotFoundError, PermissionDeniedError, RunfolioError, StorageError, TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN: Final = "This may pass: the request is sent again, and what cannot be stored now waits for `runfolio sync`"
REACH: Final = "Check the endpoint, the network, the proxy and the name server"
CERTIFICATE: Final = "Check the endpoint; for certificates of your own authority set the option ca_bundle"


class Meaning(NamedTuple):
    """What a failure means to the caller.

    Attributes:
        kind: the class of ours.
        advice: what to do next.
    """

    kind: type[RunfolioError]
    advice: str = ""


class Request(NamedTuple):
    """What was asked, for messages.

    Attributes:
        backend: short name of the backend.
        operation: ``get``, ``put``, ``create``, ``list``, ``stat``, ``delete`` or ``copy``.
        key: what it was done to; empty for the store itself.
        url: the root of the store.
    """

    backend: str
    operation: str
    key: str
    url: str


LOOKING: Final = frozenset({"get", "stat", "copy"})
"""What can find no object. For anything else 404 means that more is missing than one."""
NOTHING_THERE: Final = Meaning(StorageError, "What answers there is not the service: check the endpoint and the URL")


def by_status(status: int) -> Meaning:
    """What an HTTP status means where the service gives no code that says more."""
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):  # noqa: PLR2004 (RFC 9110)
        return Meaning(TransientStorageError, AGAIN)
    if status in (401, 403):
        return Meaning(PermissionDeniedError, "Check the credentials, and what they may do there")
    if status == 404:  # noqa: PLR2004
        return Meaning(NotFoundError)
    return Meaning(StorageError)


TRANSPORT: Final[Mapping[type[BaseException], Meaning]] = {
    ssl.SSLError: Meaning(StorageError, CERTIFICATE),
    aiohttp.ClientSSLError: Meaning(StorageError, CERTIFICATE),
    aiohttp.InvalidURL: Meaning(StorageError, "Check the endpoint: it is not the URL of a service"),
    aiohttp.ClientError: Meaning(TransientStorageError, REACH),
    asyncio.TimeoutError: Meaning(TransientStorageError, REACH),
    OSError: Meaning(TransientStorageError, REACH),
}
"""What goes wrong below HTTP, looked up from the class of the exception upwards."""


def look_up(kind: type[BaseException], table: Mapping[type[BaseException], Meaning]) -> Meaning | None:
    """Return the entry of the nearest class, or None."""
    return next((table[base] for base in kind.__mro__ if base in table), None)


def our_error(error: BaseException, meaning: Meaning, request: Request, code: str = "") -> RunfolioError:
    """Return the error of ours that a failure becomes. Its text holds no secret.

    Args:
        error: what was raised beneath.
        meaning: what it means.
        request: what was asked.
        code: what the service calls it.
    """
    place = f"{request.key} in {request.url}" if request.key else request.url
    what = code or type(error).__name__
    if meaning.kind is NotFoundError:
        message = f"{request.key} is not in {request.url}"
    else:
        message = f"Cannot {request.operation} {place}: {what}"
    if meaning.advice:
        message = f"{message}. {meaning.advice}"
    ours = meaning.kind(message, backend=request.backend, key=request.key or None, operation=request.operation)
    said = redact_text(str(error))
    if meaning.kind is not NotFoundError and said:
        ours.add_note(f"The service or the network said: {said[:2000]}")
    return ours


def cause_of(error: BaseException) -> BaseException:
    """Return what an error of ours names as its cause: the exception, or one without the secret that its text holds."""
    said = str(error)
    shown = redact_text(said)
    return error if shown == said else StorageError(f"{type(error).__name__}: {shown}")
