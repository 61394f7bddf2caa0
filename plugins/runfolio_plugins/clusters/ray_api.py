"""Requests to the Jobs API of Ray. Nothing is sent elsewhere: redirects are not followed, and proxies not asked."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from runfolio.config import redact_text
from runfolio.errors import ConfigurationError, TargetError

PATIENCE: Final = 60.0
"""Seconds without a byte after which an answer does not come any more."""
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an answer; Ray sends the whole log of a job each time."""
_ADDRESSES: Final = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Where Ray's own tools look for the address, in this order."""


class NoAnswerError(TargetError):
    """The answer to a request did not come. What it asked for may have been done."""


class RayApi:
    """The HTTP side of one Ray cluster. Every request has a connection of its own, so threads may share it.

    Args:
        address: its URL; None: where Ray's own tools would look.
        ca: file of the certificates that it is verified against; None: those of this system.
    """

    def __init__(self, address: str | None, ca: str | None) -> None:
        self._given = address
        self._ca = ca

    @property
    def address(self) -> str:
        """The URL of the cluster.

        Raises:
            ConfigurationError: there is none, or it is no URL.
        """
        found = self._given or next((os.environ[name] for name in _ADDRESSES if os.environ.get(name)), None)
        if found is None:
            raise ConfigurationError(
                "Nobody said where Ray is: set the option 'address' of the target, or RAY_API_SERVER_ADDRESS, to "
                "http://HOST:8265",
                key="address",
            )
        return checked_address(found)

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for something. Returns the HTTP status and the body.

        Raises:
            TargetError: the cluster cannot be reached.
        """
        return self._request("GET", path, None)

    def post(self, path: str, document: object) -> tuple[int, bytes]:
        """Have something done. Returns the HTTP status and the body.

        Raises:
            NoAnswerError: the request was sent, and no answer came.
            TargetError: the cluster cannot be reached.
        """
        try:
            body = json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError("Ray takes only arguments that are valid Unicode text", key="command") from error
        return self._request("POST", path, b"" if document is None else body)

    def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        url = urlsplit(self.address)
        connection = self._connection(url.scheme, url.hostname or "", url.port)
        headers = {"Accept": "application/json", "Content-Type": "application/json", **_authorization()}
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, url.path.rstrip("/") + path, body=body, headers=headers)
            response = connection.getresponse()
            data = response.read(LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            kind = NoAnswerError if sent else TargetError
            said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise kind(f"Ray at {self.address} gives no answer: {said}", operation=method) from error
        finally:
            connection.close()
        if len(data) > LARGEST:
            raise TargetError(
                f"Ray at {self.address} sent more than {LARGEST >> 20} MiB: the log of a run is among its artifacts",
                operation=method,
            )
        return response.status, data

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=PATIENCE)
        try:
            context = ssl.create_default_context(cafile=self._ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"The certificates in {self._ca} cannot be read: {error}", key="ca") from error
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)

    def document(self, answer: bytes, operation: str) -> dict[str, Any]:
        """Return an answer as the JSON object that it should be.

        Raises:
            TargetError: it is none.
        """
        try:
            found: object = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TargetError(
                f"What answers at {self.address} is not the Jobs API of Ray: {_excerpt(answer)}", operation=operation
            )
        return found

    def refusal(self, status: int, answer: bytes, operation: str) -> TargetError:
        """Return the error for an answer that says no."""
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return TargetError(
                f"Ray at {self.address} refuses the token ({status}): set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH",
                operation=operation,
            )
        return TargetError(f"Ray at {self.address} answers {status}: {_excerpt(answer)}", operation=operation)


def checked_address(text: str) -> str:
    """Return the URL of a cluster.

    Raises:
        ConfigurationError: it is none, or it carries a user, a password or a query.
    """
    try:
        url = urlsplit(text)
        port_is_fine = url.port is None or url.port > 0
    except ValueError:
        url, port_is_fine = urlsplit(""), False
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_fine or not text.isprintable():
        raise ConfigurationError(
            "The address of Ray is the URL of its dashboard, such as http://HOST:8265 (not ray:// or auto)",
            key="address",
        )
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise ConfigurationError(
            "The address of Ray holds no user, password or query: the token comes from RAY_AUTH_TOKEN", key="address"
        )
    return text


def _authorization() -> dict[str, str]:
    token = _token()
    if token is None:
        return {}
    if not token.isascii() or not token.isprintable():
        raise ConfigurationError("The token for Ray is no text of one line", key="RAY_AUTH_TOKEN")
    return {"Authorization": f"Bearer {token}"}


def _token() -> str | None:
    """The token, from where Ray's own tools take it; None when there is none."""
    given = os.environ.get("RAY_AUTH_TOKEN", "").strip()
    if given:
        return given
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path("~/.ray/auth_token").expanduser()
    try:
        return path.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        if named:
            raise ConfigurationError(f"There is no token for Ray in {path}", key="RAY_AUTH_TOKEN_PATH") from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The token for Ray in {path} cannot be read", key="RAY_AUTH_TOKEN_PATH") from error


def _excerpt(answer: bytes) -> str:
    text = redact_text(answer.decode("utf-8", "replace").strip())
    return (text[-500:] if len(text) > 500 else text) or "nothing"  # noqa: PLR2004 (of a traceback, the end tells most)
