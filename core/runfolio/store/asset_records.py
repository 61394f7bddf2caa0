"""Reading the records of assets: versions, what was taken back, aliases, and which files they pin."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import FormatError, InvalidKeyError, InvalidNameError
from runfolio.store.documents import decode, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

PROMOTE: Final = "promote"
RETRACT: Final = "retract"
ALIAS: Final = "alias"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class AssetListing:
    """What a listing says of one asset, without opening anything.

    Attributes:
        name: the asset.
        versions: numbers, the highest first. Some of them take others back.
        aliases: alias -> numbers of its records, the highest first.
    """

    name: str
    versions: list[int] = field(default_factory=list)
    aliases: dict[str, list[int]] = field(default_factory=dict)


def list_assets(backend: Backend, name: str | None = None) -> dict[str, AssetListing]:
    """LIST one asset, or all of them, by name."""
    found: dict[str, AssetListing] = {}
    for info in backend.list(layout.ASSETS if name is None else layout.asset_folder(name)):
        key = layout.asset_of(info.key)
        if key is None:
            continue
        listing = found.setdefault(key.name, AssetListing(key.name))
        numbers = listing.versions if key.alias is None else listing.aliases.setdefault(key.alias, [])
        numbers.append(key.number)
    return found


class AssetReader:
    """Reads versions of one asset, each once, and only as far back as needed.

    Args:
        backend: where the store lies.
        listing: what there is of the asset.
        environment: parallelism.
    """

    def __init__(self, backend: Backend, listing: AssetListing, environment: Environment) -> None:
        self.listing = listing
        self._backend = backend
        self._environment = environment
        self._read: dict[int, dict[str, Any]] = {}

    def newest(self) -> dict[str, Any] | None:
        """Return the highest version that was not taken back; None when there is none."""
        return next(self.standing(), None)

    def standing(self) -> Iterator[dict[str, Any]]:
        """Yield the versions that were not taken back, the highest first."""
        retracted: set[int] = set()
        for number in self.listing.versions:  # whatever takes a version back has a higher number
            document = self._document(number)
            if document["kind"] == RETRACT:
                retracted.add(document["retracts"])
            elif document["kind"] == PROMOTE and number not in retracted:
                yield document

    def all(self) -> list[dict[str, Any]]:
        """Return all records of versions, the highest first, also those that take others back."""
        self._fetch(self.listing.versions)
        return [self._document(number) for number in self.listing.versions]

    def version(self, number: int) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return a version, or None when there is none of this number, and what took it back, or None."""
        later = [one for one in self.listing.versions if one >= number]
        if number not in later:
            return None, None
        self._fetch(later)
        document = self._document(number)
        retractions = [
            one for one in map(self._document, later) if one["kind"] == RETRACT and one["retracts"] == number
        ]
        return document if document["kind"] == PROMOTE else None, retractions[-1] if retractions else None

    def aliases(self, names: Iterable[str] | None = None) -> dict[str, int]:
        """Return which version each alias stands for. Aliases that were removed are left out."""
        chosen = [name for name in (self.listing.aliases if names is None else names) if name in self.listing.aliases]
        keys = [layout.asset_alias(self.listing.name, name, self.listing.aliases[name][0]) for name in chosen]
        documents = self._environment.gather([lambda key=key: self._get(key) for key in keys])  # type: ignore[misc]  # one key each
        found: dict[str, int] = {}
        for name, key, document in zip(chosen, keys, documents, strict=True):
            require(document, key, version=(int, type(None)))
            if document["version"] is not None:
                found[name] = document["version"]
        return found

    def _fetch(self, numbers: Iterable[int]) -> None:
        absent = [number for number in numbers if number not in self._read]
        self._environment.gather([lambda number=number: self._document(number) for number in absent])  # type: ignore[misc]  # one number each

    def _document(self, number: int) -> dict[str, Any]:
        if number not in self._read:
            key = layout.asset(self.listing.name, number)
            self._read[number] = checked(self._get(key), key)
        return self._read[number]

    def _get(self, key: str) -> dict[str, Any]:
        return decode(self._backend.get(key), key)


def checked(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Check what a version's record says, and return it. It may come from somebody else's store.

    Raises:
        FormatError: a field is missing or wrong, or it names a file that no run can have.
    """
    require(document, key, kind=str, asset=str, version=int)
    place = layout.asset_of(key)
    if place is None or (document["asset"], document["version"]) != (place.name, place.number):
        raise FormatError(f"{key} is damaged: it says that it is {document['asset']}@{document['version']}", key=key)
    if document["kind"] == RETRACT:
        require(document, key, retracts=int)
    if document["kind"] == PROMOTE:
        require(document, key, run=str, path=str, files=list, sha256=str, created=str, evidence=dict)
        for file in document["files"]:
            _check_file(document["run"], file, key)
    return document


def _check_file(run_id: str, file: object, key: str) -> None:
    match file:
        case {"path": str(path), "key": str(place), "size": int(size), "sha256": str(sha256)}:
            pass
        case _:
            raise FormatError(f"{key} is damaged: its list of files holds something else", key=key)
    try:
        layout.artifact(run_id, path)
        layout.artifact(run_id, place)
    except (InvalidKeyError, InvalidNameError) as error:
        raise FormatError(f"{key} names a file that no run can have: {path!r}", key=key) from error
    if size < 0 or not _SHA256.fullmatch(sha256):
        raise FormatError(f"{key} is damaged: size or hash of {path!r} are not ones", key=key)


def pinned_files(backend: Backend, environment: Environment) -> dict[str, list[tuple[str, int]]]:
    """Return the keys of artifacts that assets need, each with the (name, version) of those that do.

    Versions that were taken back need nothing. Nobody can put them back, so what is not pinned stays so, unless it is
    promoted anew, which looks whether the run was deleted.

    Raises:
        FormatError: a version cannot be read, so it is not known what it needs.
        StorageError: the storage failed.
    """
    pinned: dict[str, list[tuple[str, int]]] = {}
    for listing in list_assets(backend).values():
        reader = AssetReader(backend, listing, environment)
        reader.all()
        for document in reader.standing():
            for file in document["files"]:
                key = layout.artifact(document["run"], file["key"])
                pinned.setdefault(key, []).append((listing.name, document["version"]))
    return pinned
