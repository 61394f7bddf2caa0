"""Reading the source of a run back out of a store, of which nothing is trusted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, RunNotFoundError
from runfolio.snapshot.objects import BLOB_TYPE, FOLDER, REPOSITORY, Entry, is_sha, walk
from runfolio.snapshot.packing import Pack, open_pack
from runfolio.store.documents import decode, load_source

if TYPE_CHECKING:
    from types import TracebackType

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

LARGEST_PACK: Final = 4 * 1024**3
"""Bytes of a pack; a foreign one with more is not fetched."""
_MOST_PACKS: Final = 1000


@dataclass(slots=True)
class StoredSource:
    """The source of a run, in packs on this machine. Use it as a context manager, or `close` it.

    Attributes:
        run_id: the run.
        commit: id of its commit.
        entries: its files, links, submodules and empty folders, sorted by path.
    """

    run_id: str
    commit: str
    packs: dict[str, Pack] = field(repr=False)
    folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    entries: list[Entry] = field(default_factory=list)
    _places: dict[str, Pack] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for pack in self.packs.values():
            self._places.update(dict.fromkeys(pack.places, pack))
        self.entries = walk(self.commit, self.object, self.size_of)

    def read(self, entry: Entry) -> bytes:
        """Return the bytes of a file or the text of a link."""
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces; nothing for a submodule or a folder."""
        if entry.mode not in (REPOSITORY, FOLDER):
            yield from self._pack_of(entry.sha, BLOB_TYPE).chunks(entry.sha)

    def object(self, sha: str, kind: int) -> bytes:
        """Return the bytes of an object.

        Raises:
            FormatError: it is not there, or of another type.
        """
        return self._pack_of(sha, kind).read(sha)

    def size_of(self, sha: str) -> int:
        """Return the size of a blob.

        Raises:
            FormatError: it is not there, or no blob.
        """
        return self._pack_of(sha, BLOB_TYPE).places[sha].size

    def pack_of(self, sha: str) -> Pack:
        """Return the pack that holds a blob.

        Raises:
            FormatError: it is not there, or no blob.
        """
        return self._pack_of(sha, BLOB_TYPE)

    def _pack_of(self, sha: str, kind: int) -> Pack:
        pack = self._places.get(sha)
        if pack is None or pack.places[sha].kind != kind:
            raise FormatError(
                f"The source of run {self.run_id} is incomplete in the store: the object {sha} is not there", key=sha
            )
        return pack

    def close(self) -> None:
        """Remove the packs from this machine."""
        if self.folder is not None:
            self.folder.cleanup()
            self.folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(backend: Backend, environment: Environment, run_id: str) -> StoredSource:
    """Fetch the source of a run, and verify it (3 requests, and 2 for each pack).

    Args:
        backend: where the store lies.
        environment: parallelism.
        run_id: the run.

    Raises:
        NotFoundError: the run has no snapshot, or it is not in the store.
        FormatError: it is damaged, incomplete, or holds what no snapshot may hold.
        StorageError: the storage failed.
        OSError: there is no room for it on this machine.
    """
    commit, keys = _reference(backend, run_id)
    folder = tempfile.TemporaryDirectory(prefix="runfolio-source-")
    try:
        packs = _fetch(backend, environment, run_id, keys, Path(folder.name))
        return StoredSource(run_id, commit, packs, folder)
    except BaseException:
        folder.cleanup()
        raise


def _reference(backend: Backend, run_id: str) -> tuple[str, list[str]]:
    """The commit of a run and the keys of the packs that hold it."""
    key = layout.start(run_id)
    try:
        start = decode(backend.get(key), key)
    except NotFoundError as error:
        raise RunNotFoundError(f"There is no run {run_id} in {backend.url}", key=run_id) from error
    commit = start.get("snapshot")
    if not isinstance(commit, str) or not is_sha(commit):
        raise NotFoundError(
            f"Run {run_id} has no snapshot of its source: it was not started by `runfolio run`, or with --snapshot off",
            key=run_id,
        )
    packs = _packs(backend, run_id, start, commit)
    if not all(layout.is_pack(one) for one in packs) or len(packs) > _MOST_PACKS:
        raise FormatError(f"The source of run {run_id} names packs that cannot be", key=key)
    return commit, list(dict.fromkeys(packs))


def _packs(backend: Backend, run_id: str, start: Mapping[str, Any], commit: str) -> list[Any]:
    key = layout.source(run_id)
    try:
        document = load_source(backend.get(key, 0, layout.LARGEST_SOURCE + 1), key)
    except NotFoundError as error:
        packs = start.get("packs")
        if not isinstance(packs, list):
            raise NotFoundError(
                f"The source of run {run_id} is not in the store (yet): `runfolio sync` on the machine that started it "
                "sends what is left there",
                key=key,
            ) from error
        return packs
    if document["commit"] != commit:
        raise FormatError(f"{key} is about another commit than the run", key=key)
    packs = document["packs"]
    return packs if isinstance(packs, list) else []


def _fetch(backend: Backend, environment: Environment, run_id: str, keys: list[str], folder: Path) -> dict[str, Pack]:
    def fetch(key: str) -> Pack | None:
        try:
            if backend.stat(key).size > LARGEST_PACK:
                raise FormatError(f"{key} has more than {LARGEST_PACK:,} bytes", key=key)
            path = folder / key.rsplit("/", 1)[-1]
            backend.get_file(key, path)
        except NotFoundError:
            return None
        return open_pack(path)

    found = dict(zip(keys, environment.gather([partial(fetch, key) for key in keys]), strict=True))
    if None in found.values():
        # Garbage was being collected when it was stored: what stood in a condemned pack is in another of a family.
        others = [key for key in _variants(backend, keys) if key not in found]
        found |= dict(zip(others, environment.gather([partial(fetch, key) for key in others]), strict=True))
    packs = {key: pack for key, pack in found.items() if pack is not None}
    if keys and not packs:
        raise FormatError(f"The source of run {run_id} is gone from the store", key=layout.source(run_id))
    return packs


def _variants(backend: Backend, keys: list[str]) -> Iterator[str]:
    for family in sorted({layout.family_of(layout.stem_of(key)) for key in keys}):
        begin = f"{layout.OBJECTS}{family}"
        for info in backend.list(layout.OBJECTS, start_after=begin):
            if not info.key.startswith(begin):
                break
            if layout.is_pack(info.key):
                yield info.key
