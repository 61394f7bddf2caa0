"""Assets of a store: promoted files under a name, in versions, with aliases."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runfolio import layout
from runfolio.artifacts import Artifact, Artifacts, DownloadProgress, DownloadReport
from runfolio.assets.links import AssetLink, is_link, read_link, write_link
from runfolio.errors import AssetNotFoundError, FormatError, InvalidNameError, StorageError
from runfolio.names import validate_asset

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.history import History
    from runfolio.store.asset_records import AssetReader
    from runfolio.store.promoting import Promoter

LATEST: Final = "latest"
"""The alias that always stands for the highest version that was not taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetVersion:
    """One version of an asset.

    Attributes:
        name: the asset.
        version: counts from 1; numbers of versions that take others back are left out.
        run_id: the run that made its files. The run may have been deleted since; its files stay.
        path: what was promoted: a file or a folder of the run.
        sha256: of a file its hash; of a folder that of the lines ``<sha256>  <path in the folder>``, sorted by path.
        files: its files, with paths that begin with the name of what was promoted.
        who: who promoted it.
        promoted_utc: when.
        evidence: what was known then: hashes of the run's lists of files, the source snapshot, status and number.
        retraction: ``who``, ``created`` and ``reason`` of what took it back; None while it stands.
        aliases: words that stand for it.
    """

    name: str
    version: int
    run_id: str
    path: str
    sha256: str
    files: Sequence[Artifact] = field(repr=False)
    who: str | None
    promoted_utc: datetime
    evidence: Mapping[str, Any] = field(repr=False)
    retraction: Mapping[str, Any] | None = None
    aliases: Sequence[str] = ()
    _store_id: str = field(default="", repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.files)

    @property
    def word(self) -> str:
        """``NAME@VERSION``."""
        return f"{self.name}@{self.version}"

    def download(
        self, target: str | Path, *, overwrite: bool = False, progress: DownloadProgress | None = None
    ) -> DownloadReport:
        """Write the file or folder into a folder. See `runfolio.artifacts.Artifacts.download`."""
        return self._artifacts.download(target, overwrite=overwrite, progress=progress)

    def local_path(self, progress: DownloadProgress | None = None) -> Path:
        """Return where the file or folder lies on this machine, fetched if need be and verified against its hash.

        It is a copy in the user's cache that others may use too: do not change it.

        Raises:
            StorageError: it cannot be fetched.
        """
        from runfolio.assets.cache import fetch  # noqa: PLC0415 (loaded on use)
        from runfolio.config import Places  # noqa: PLC0415

        folder = Places.of(os.environ).assets / self.sha256
        try:
            fetch(self._artifacts, folder, progress)
        except StorageError as error:
            raise StorageError(
                f"The asset {self.word} cannot be had: {error}. If its files are gone from the store, "
                f"`runfolio store gc --delete` takes the version back",
                key=error.key,
            ) from error
        return folder / self.path.rsplit("/", 1)[-1]

    def link(self) -> AssetLink:
        """Return what a link to this version says."""
        return AssetLink(self.name, self.version, self.sha256, self.size, self.run_id, self._store_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the version as plain data."""
        return {
            "aliases": list(self.aliases),
            "evidence": dict(self.evidence),
            "files": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in self.files],
            "name": self.name,
            "path": self.path,
            "promoted_utc": self.promoted_utc.isoformat(timespec="microseconds"),
            "retraction": None if self.retraction is None else dict(self.retraction),
            "run_id": self.run_id,
            "sha256": self.sha256,
            "size": self.size,
            "version": self.version,
            "who": self.who,
        }

    @property
    def _artifacts(self) -> Artifacts:
        return Artifacts(self.run_id, lambda: self.files)


class _Word(NamedTuple):
    """An asset's name and which version of it: a number, an alias, or None for the newest."""

    name: str
    version: int | None = None
    alias: str | None = None


class Assets:
    """The assets of a history. Made by `History.assets`.

    A version is named by a *word*: ``NAME`` (the newest), ``NAME@3``, ``NAME@ALIAS``, or the path of a link.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def names(self) -> Sequence[str]:
        """Return the names of all assets, sorted (1 request)."""
        from runfolio.store.asset_records import list_assets  # noqa: PLC0415 (loaded on use)

        return sorted(list_assets(self._opened()))

    def list(self) -> Sequence[AssetVersion]:
        """Return the newest version of each asset that has one which was not taken back, sorted by name."""
        newest = [(reader, reader.newest()) for reader in self._readers(None)]
        return [
            self._version(document, aliases=reader.aliases()) for reader, document in newest if document is not None
        ]

    def __iter__(self) -> Iterator[AssetVersion]:
        return iter(self.list())

    def versions(self, name: str) -> Sequence[AssetVersion]:
        """Return all versions of an asset, the newest first, also those that were taken back.

        Raises:
            AssetNotFoundError: there is no such asset.
        """
        from runfolio.store.asset_records import PROMOTE, RETRACT  # noqa: PLC0415 (loaded on use)

        reader = self._reader(validate_asset(name))
        records, aliases = reader.all(), reader.aliases()
        retractions = {one["retracts"]: one for one in records if one["kind"] == RETRACT}
        return [
            self._version(one, retractions.get(one["version"]), aliases) for one in records if one["kind"] == PROMOTE
        ]

    def get(self, word: str | Path) -> AssetVersion:
        """Return a version.

        Raises:
            AssetNotFoundError: there is no such asset, version or alias, or it was taken back.
            FormatError: a link, or a record, is damaged.
            NotFoundError: there is no such link.
        """
        if is_link(word):
            return self._linked(Path(word))
        name, number, alias = _parse(str(word))
        reader = self._reader(name)
        aliases = reader.aliases()
        if alias is not None:
            number = aliases.get(alias)
            if number is None:
                known = ", ".join(sorted(aliases)) or "none"
                raise AssetNotFoundError(f"The asset {name!r} has no alias {alias!r}; it has: {known}", key=str(word))
        if number is None:
            newest = reader.newest()
            if newest is None:
                raise AssetNotFoundError(f"All versions of the asset {name!r} were taken back", key=name)
            return self._version(newest, aliases=aliases)
        document, retraction = reader.version(number)
        if document is None:
            raise AssetNotFoundError(f"The asset {name!r} has no version {number}", key=str(word))
        if retraction is not None:
            why = f": {retraction['reason']}" if retraction.get("reason") else ""
            raise AssetNotFoundError(
                f"{name}@{number} was taken back by {retraction.get('who')} at {retraction.get('created')}{why}",
                key=str(word),
            )
        return self._version(document, aliases=aliases)

    __getitem__ = get

    def local_path(self, word: str | Path) -> Path:
        """Return where an asset lies on this machine. See `AssetVersion.local_path`."""
        return self.get(word).local_path()

    def link(self, word: str | Path) -> Path:
        """Write ``assets/NAME.link`` in the current project, for this version, and return its path."""
        return write_link(self._history.settings.root, self.get(word).link())

    def alias(self, word: str | Path, alias: str) -> AssetVersion:
        """Let an alias stand for a version from now on, and return that. What it stood for before stays on record.

        Raises:
            InvalidNameError: this cannot be an alias.
            AssetNotFoundError: there is no such version, or it was taken back.
        """
        _check_alias(alias)
        version = self.get(word)
        self._promoter().alias(version.name, alias, version.version)
        return self.get(version.word)

    def remove_alias(self, name: str, alias: str) -> None:
        """Let an alias stand for nothing from now on.

        Raises:
            AssetNotFoundError: there is no such asset or alias.
        """
        if alias not in self._reader(validate_asset(name)).aliases():
            raise AssetNotFoundError(f"The asset {name!r} has no alias {alias!r}", key=alias)
        self._promoter().alias(name, alias, None)

    def retract(self, word: str | Path, reason: str | None = None) -> AssetVersion:
        """Take a version back, for good, and return it. Its record stays; its files are no longer kept for it.

        Raises:
            AssetNotFoundError: there is no such version, or it was taken back already.
        """
        version = self.get(word)
        self._promoter().retract(version.name, version.version, reason)
        return version

    def _linked(self, path: Path) -> AssetVersion:
        link = read_link(path)
        here = self._history.url
        try:
            version = self.get(f"{link.asset}@{link.version}")
        except AssetNotFoundError as error:
            if link.store_id != self._store_id:
                error.add_note(
                    f"The link {path} was made in another store than {here}: set RUNFOLIO_STORE to that one."
                )
            raise
        if version.sha256 != link.sha256:
            raise AssetNotFoundError(
                f"The link {path} is to {link.asset}@{link.version} with the SHA-256 {link.sha256[:12]}…, and that of "
                f"{here} has {version.sha256[:12]}…: it was made in another store",
                key=str(path),
            )
        return version

    def _opened(self) -> Backend:
        self._history._connection.open()  # noqa: SLF001 (assets are a part of their history)
        return self._history._backend  # noqa: SLF001

    @property
    def _store_id(self) -> str:
        return self._history._connection.open().store_id  # noqa: SLF001

    def _promoter(self) -> Promoter:
        from runfolio.store.promoting import Promoter  # noqa: PLC0415 (loaded on use)

        connection = self._history._connection  # noqa: SLF001
        connection.writable()
        return Promoter(connection.raw, connection.environment, who=self._history.user_id)

    def _readers(self, name: str | None) -> Sequence[AssetReader]:
        from runfolio.store.asset_records import AssetReader, list_assets  # noqa: PLC0415 (loaded on use)

        backend, environment = self._opened(), self._history._connection.environment  # noqa: SLF001
        listings = sorted(list_assets(backend, name).items())
        return [AssetReader(backend, listing, environment) for _, listing in listings]

    def _reader(self, name: str) -> AssetReader:
        for reader in self._readers(name):
            return reader
        known = self.names()
        shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")  # noqa: PLR2004 (a line's worth of names)
        raise AssetNotFoundError(
            f"There is no asset {name!r} in {self._history.url}; there are: {shown or 'none'}", key=name
        )

    def _version(
        self,
        document: Mapping[str, Any],
        retraction: Mapping[str, Any] | None = None,
        aliases: Mapping[str, int] | None = None,
    ) -> AssetVersion:
        """Make a version of its record, whose hash must be that of its files."""
        run_id, path = document["run"], document["path"]
        above = path.rpartition("/")[0]
        files = [
            Artifact(
                path=one["path"][len(above) + 1 if above else 0 :],
                size=one["size"],
                sha256=one["sha256"],
                _key=layout.artifact(run_id, one["key"]),
                _backend=self._history._backend,  # noqa: SLF001
            )
            for one in document["files"]
            if one["path"] == path or one["path"].startswith(f"{path}/")
        ]
        found = combined_hash(path, [(one["path"], one["sha256"]) for one in document["files"]])
        try:
            promoted = datetime.fromisoformat(document["created"])
        except ValueError:
            promoted = None
        if len(files) < len(document["files"]) or found != document["sha256"] or promoted is None:
            raise FormatError(
                f"The record of {document['asset']}@{document['version']} contradicts itself: it was changed",
                key=layout.asset(document["asset"], document["version"]),
            )
        return AssetVersion(
            name=document["asset"],
            version=document["version"],
            run_id=run_id,
            path=path,
            sha256=found,
            files=files,
            who=document.get("who"),
            promoted_utc=promoted,
            evidence=document["evidence"],
            retraction=None
            if retraction is None
            else {key: retraction.get(key) for key in ("who", "created", "reason")},
            aliases=sorted(alias for alias, number in (aliases or {}).items() if number == document["version"]),
            _store_id=self._store_id,
        )


def combined_hash(path: str, files: Iterable[tuple[str, str]]) -> str:
    """Return the hash of what was promoted: that of the file, or for a folder of the list of its files.

    Args:
        path: what was promoted.
        files: path and SHA-256 of each file.
    """
    found = sorted(files)
    if [file for file, _ in found] == [path]:
        return found[0][1]
    lines = "".join(f"{sha256}  {file[len(path) + 1 :]}\n" for file, sha256 in found)
    return hashlib.sha256(lines.encode()).hexdigest()


def _parse(word: str) -> _Word:
    name, at, selector = word.partition("@")
    validate_asset(name)
    if not at or selector == LATEST:
        return _Word(name)
    if selector.isascii() and selector.isdigit():
        return _Word(name, version=int(selector))
    return _Word(name, alias=validate_asset(selector, "alias"))


def _check_alias(alias: str) -> None:
    validate_asset(alias, "alias")
    if alias == LATEST or (alias.isascii() and alias.isdigit()):
        raise InvalidNameError(
            f"{alias!r} cannot be an alias: numbers are versions, and {LATEST!r} is always the newest one", key=alias
        )
