"""Which stores that a project's file names may be used with this user's credentials.

A project may come from anywhere. So a store that *its* file names, in the cloud or on another computer, is used only
after the user has approved it once: else cloning a repository and listing its runs would send the user's credentials,
and runs, to whoever wrote the file. What the user says (an argument, the environment, the user's own file) or the
site's file needs no approval.

A folder of this computer needs none either: it is reached without credentials, and file permissions guard it. A folder
on another computer (``//server/share``) does, because it is reached with the user's login.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from runfolio.config import redaction
from runfolio.config.places import Places
from runfolio.config.stores import StoreAddress, normalised, options_text
from runfolio.errors import ConfigurationError, UntrustedStoreError

_NEEDS_NONE: Final = frozenset(["memory"])


class Approval(NamedTuple):
    """A store that was approved.

    Attributes:
        url: as `trust_url` spells it.
        approved_utc: when.
    """

    url: str
    approved_utc: str


def needs_trust(address: StoreAddress) -> bool:
    """Whether a store must be approved first: a project's file names it, and it is no folder of this computer."""
    if address.origin.kind != "project" or address.scheme in _NEEDS_NONE:
        return False
    path = address.path
    return path is None or str(path).startswith(("//", "\\\\"))


def trust_url(address: StoreAddress) -> str:
    """Return what is approved: the URL with the file's options, since an endpoint decides who gets the credentials."""
    return f"{address.url}?{options_text(address.options)}" if address.options else address.url


def require_trust(address: StoreAddress, places: Places | None = None) -> None:
    """Make sure that a store may be used.

    Raises:
        UntrustedStoreError: it must be approved first; the message has the command.
    """
    if not needs_trust(address) or is_approved(trust_url(address), places):
        return
    url = trust_url(address)
    raise UntrustedStoreError(
        f"The {address.origin} names the store {redaction.redact_url(address.url)}, which you have not approved. "
        f"It would be "
        f"used with your credentials. If you trust it, run once: runfolio trust {shlex.quote(url)}",
        key=url,
    )


def approve(url: str, places: Places | None = None) -> str:
    """Allow the store at this URL to be used when a project's file names it. Returns the URL as it is kept.

    Args:
        url: as the error of `require_trust` prints it.
        places: where approvals are kept; by default the folders of this user.

    Raises:
        ConfigurationError: it is no URL, or the approval cannot be written.
    """
    places = places or _places()
    kept = _normal(url)
    body = json.dumps({"approved_utc": datetime.now(UTC).isoformat(), "url": kept}, sort_keys=True) + "\n"
    path = _file_of(kept, places)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_atomically(path, body)
    except OSError as error:
        raise ConfigurationError(
            f"The approval cannot be written to {path}: {error.strerror or error}", key=kept
        ) from error
    return kept


def revoke(url: str, places: Places | None = None) -> bool:
    """Take an approval back. Returns whether there was one.

    Raises:
        ConfigurationError: it is no URL, or the approval cannot be removed.
    """
    path = _file_of(_normal(url), places or _places())
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(
            f"The approval {path} cannot be removed: {error.strerror or error}", key=url
        ) from error
    return True


def approved(places: Places | None = None) -> list[Approval]:
    """Return all approvals, sorted by URL. A damaged file is no approval."""
    folder = (places or _places()).trusted
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        return []
    found = (_read(path) for path in paths)
    return sorted(approval for approval in found if approval is not None)


def is_approved(url: str, places: Places | None = None) -> bool:
    """Whether exactly this URL, as `trust_url` spells it, was approved."""
    kept = _normal(url)
    approval = _read(_file_of(kept, places or _places()))
    return approval is not None and approval.url == kept


def _places() -> Places:
    return Places.of(os.environ)


def _normal(url: str) -> str:
    plain, mark, options = url.partition("?")
    return f"{normalised(plain, Path.cwd())}{mark}{options}"


def _file_of(url: str, places: Places) -> Path:
    """One file an approval: two approvals at one moment cannot lose each other."""
    return places.trusted / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> Approval | None:
    try:
        document: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict):
        return None
    url, when = document.get("url"), document.get("approved_utc")
    return Approval(url, when) if isinstance(url, str) and isinstance(when, str) else None


def _write_atomically(path: Path, body: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".approval-")  # readable by this user only
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(body)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
