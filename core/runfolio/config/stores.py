"""Which store a word means: a path, a URL, or the name of a profile."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from runfolio.config import redaction
from runfolio.config.origins import Origin
from runfolio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_BUCKETS: Final = frozenset({"abfs", "abfss", "az", "gcs", "gs", "s3"})
"""Schemes whose URLs begin with a bucket or container. Of others, a path alone may name the store."""
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<rest>.*)", re.DOTALL)
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class StoreProfile:
    """A store that configuration gives a name: ``[stores.NAME]``.

    Attributes:
        name: the name.
        url: a path or URL, as written.
        options: handed to the backend, which checks them.
        single_writer: accept a store that cannot create objects atomically, because only one process writes at a time.
        origin: the file that defines it. A profile comes from one file as a whole: files are never mixed within one, so
            that no project file can send the credentials of a user's profile elsewhere.
    """

    name: str
    url: str
    options: Mapping[str, object] = field(default_factory=dict)
    single_writer: bool = False
    origin: Origin = field(default_factory=lambda: Origin("default"))


@dataclass(frozen=True)
class StoreAddress:
    """A store, ready to be opened.

    Attributes:
        url: its root, normalised: ``file:///…``, ``memory://…``, ``s3://…``.
        options: handed to the backend.
        origin: who named this URL. For a profile that is the file which defines it.
        name: the name of the profile, or None.
        single_writer: see `StoreProfile`.
    """

    url: str
    options: Mapping[str, object] = field(default_factory=dict)
    origin: Origin = field(default_factory=lambda: Origin("argument"))
    name: str | None = None
    single_writer: bool = False

    @property
    def scheme(self) -> str:
        """What finds the backend, such as ``file``, ``memory`` or ``s3``."""
        return self.url.split(":", 1)[0]

    @property
    def path(self) -> Path | None:
        """The folder of a local store, else None."""
        return local_path(self.url) if self.scheme == "file" else None

    @property
    def word(self) -> str:
        """What means the same store, with its options, to another process of this user: its name, else its URL."""
        # A relative path in a project's file starts at that file, of which the other process may have a copy; a
        # profile that was handed over in this process is in no file.
        private = self.origin.kind == "argument" or (self.origin.kind == "project" and self.path is not None)
        return self.url if self.name is None or private else self.name

    def __repr__(self) -> str:
        return f"StoreAddress({redaction.redact_url(self.url)!r}, origin={str(self.origin)!r})"


def address_of(word: str, *, origin: Origin, profiles: Mapping[str, StoreProfile], base: Path | None) -> StoreAddress:
    """Return the store that a word means.

    Args:
        word: a path, a URL, or the name of a profile.
        origin: who said the word.
        profiles: the profiles by name.
        base: the folder that a relative path starts from; None where only absolute paths make sense.

    Raises:
        ConfigurationError: it is none of these, or a URL that carries credentials.
    """
    profile = profiles.get(word)
    if profile is None:
        _refuse_misspelt(word, profiles, base)
        return StoreAddress(normalised(word, base), origin=origin)
    if profile.url in profiles:
        raise ConfigurationError(
            f"stores.{word}.url in {profile.origin.place} is the name of another store: write its path or URL", key=word
        )
    url = normalised(profile.url, _profile_base(profile, base))
    return StoreAddress(url, profile.options, profile.origin, profile.name, profile.single_writer)


def _profile_base(profile: StoreProfile, base: Path | None) -> Path | None:
    if profile.origin.kind == "project":
        return Path(profile.origin.place).parent
    return None if profile.origin.kind in ("user", "site") else base


def _refuse_misspelt(word: str, profiles: Mapping[str, StoreProfile], base: Path | None) -> None:
    """A word that nearly names a profile is not silently taken for a new folder."""
    if not _PLAIN_WORD.fullmatch(word) or (base is not None and (base / word).exists()):
        return
    meant = get_close_matches(word, profiles, n=1, cutoff=0.7)
    if meant:
        raise ConfigurationError(
            f"No store is named {word!r}: did you mean {meant[0]!r}? (for a folder of this name write ./{word})",
            key=word,
        )


def normalised(word: str, base: Path | None) -> str:
    """Return the URL of a path or URL: absolute, without a slash at the end, its scheme in lower case.

    Raises:
        ConfigurationError: the URL is malformed or carries credentials, or the path is relative and ``base`` is None.
    """
    if "\0" in word or not word.strip():
        raise ConfigurationError("A store must be a path, a URL or the name of a store, not an empty text", key=word)
    found = _SCHEME.fullmatch(word)
    # One letter before the colon is a drive of Windows.
    if found is None:
        return path_url(_absolute(word, base))
    scheme, rest = found["scheme"].lower(), found["rest"]
    if scheme == "file":
        return path_url(_absolute(_file_path(word, rest), base))
    if not rest.startswith("//"):
        raise ConfigurationError(
            f"{redaction.redact_url(word)!r} is not a store: write {scheme}://… for a URL, ./{word} for a folder",
            key=scheme,
        )
    return _remote(scheme, rest, word)


def _file_path(word: str, rest: str) -> str:
    if not rest.startswith("//"):
        return _decoded(rest)
    host, slash, path = rest[2:].partition("/")
    if host in ("", "localhost"):
        return _decoded(slash + path)
    if os.name == "nt":
        return _decoded(f"//{host}/{path}")
    raise ConfigurationError(f"{word!r} names the computer {host!r}: a local store is file:///{host}/{path}", key=word)


def _decoded(path: str) -> str:
    """A path without its escapes. The name of a folder need not be UTF-8."""
    return unquote(path, errors="surrogateescape")


def _remote(scheme: str, rest: str, word: str) -> str:
    shown = redaction.redact_url(word)
    authority, slash, path = rest[2:].partition("/")
    user, at, _host = authority.rpartition("@")
    # `container@account` is how Azure names a container; a colon makes it a password.
    if at and (":" in user or scheme in ("http", "https")):
        raise ConfigurationError(
            f"The store URL {shown} carries credentials: leave them to the environment",
            key=scheme,
        )
    if "?" in rest:
        raise ConfigurationError(
            f"The store URL {shown} has a query: leave signatures to the environment, and give options in the profile",
            key=scheme,
        )
    nowhere = not authority and (scheme in _OF_BUCKETS or not path.strip("/"))
    if nowhere and scheme != "memory":
        raise ConfigurationError(f"The store URL {shown} names no bucket, container or folder", key=scheme)
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ConfigurationError(f"The store URL {shown} has a '.' or '..' part", key=scheme)
    del slash
    return "/".join([f"{scheme}://{authority}", *parts])


def _absolute(path: str, base: Path | None) -> Path:
    try:
        expanded = Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"The folder {path!r} has no home: {error}", key=path) from error
    if not expanded.is_absolute():
        if base is None:
            raise ConfigurationError(
                f"{path!r} is a relative path: write an absolute one, or one that begins with ~", key=path
            )
        expanded = base / expanded
    return Path(os.path.abspath(expanded))  # noqa: PTH100  # resolve() would follow links, which users mean as they are


def path_url(path: Path) -> str:
    """Return the ``file://`` URL of an absolute path."""
    url = path.as_uri()
    return url if url.endswith(":///") else url.rstrip("/")


def local_path(url: str) -> Path:
    """Return the path of a ``file://`` URL."""
    parts = urlsplit(url.replace("#", "%23").replace("?", "%3F"))
    path = _decoded(parts.path)
    if os.name == "nt":
        return Path(f"//{parts.netloc}{path}") if parts.netloc else Path(path.lstrip("/"))
    return Path(path)


def options_text(options: Mapping[str, object]) -> str:
    """Return options as one line in a fixed order. Those of a file hold no secrets."""
    pairs = []
    for key in sorted(options):
        value = options[key]
        spelled = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        pairs.append(f"{quote(key, safe='')}={quote(spelled, safe=':/')}")
    return "&".join(pairs)
