"""The source snapshot of a run, copied: the reference first, then the packs (Copy 5 of ``docs/design/006-copy.md``).

A collection of garbage in the target may run at the same time. It reads the references again after it has published
what it condemns; so whoever publishes a reference and *then* finds none of its packs condemned is safe. A name that is
condemned is never relied on: the pack goes under another.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, TransientStorageError
from runfolio.store.documents import decode, encode

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.carrying import Carrier
    from runfolio.store.desk import Desk

_SUFFIXES: Final = (".pack", ".idx")
_ROUNDS: Final = 10


@final
class Snapshots:
    """Which packs two stores have: listed once, when they are first needed. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listed: dict[str, dict[str, int]] = {}

    def of(self, backend: Backend) -> dict[str, int]:
        """Return the sizes of the objects below ``objects/``, by key."""
        with self._lock:
            if backend.url not in self._listed:
                self._listed[backend.url] = {info.key: info.size for info in backend.list(layout.OBJECTS)}
            return self._listed[backend.url]


def copy_snapshot(carrier: Carrier, desk: Desk, run_id: str, snapshots: Snapshots, *, settled: bool) -> None:
    """Copy the source record of a run and the packs that it names.

    Args:
        carrier: the way between the stores.
        desk: where to work in the target.
        run_id: the run.
        snapshots: what is known of the packs of both stores.
        settled: the run is complete in the target already, so its record stays as it is.
    """
    key = layout.source(run_id)
    data = carrier.source.get(key)
    try:
        document = decode(data, key)
        packs = _packs(document, key)
    except FormatError as error:
        carrier.problems.append(f"{error}: it was copied as it is, without the packs it may name")
        carrier.carry(key, key, len(data))
        return
    stored = _publish(carrier, desk, key, document, settled=settled)
    have, got = snapshots.of(carrier.source), snapshots.of(carrier.target)
    for name, name_there in zip(packs, _packs(stored, key), strict=True):
        stem, stem_there = _stem(name), _stem(name_there)
        if f"{layout.OBJECTS}{stem}.pack" not in have:
            carrier.problems.append(f"The pack {stem} of {run_id} is missing in the source")
        for suffix in _SUFFIXES:
            old, new = f"{layout.OBJECTS}{stem}{suffix}", f"{layout.OBJECTS}{stem_there}{suffix}"
            if old in have and got.get(new) != have[old]:
                carrier.carry(old, new, have[old])
                got[new] = have[old]


def _publish(carrier: Carrier, desk: Desk, key: str, document: dict[str, Any], *, settled: bool) -> dict[str, Any]:
    """Make sure that the target has the record, naming packs that no collection has condemned; return it."""
    for _ in range(_ROUNDS):
        stored = _read(carrier.target, key)
        if stored is None:
            condemned = _condemned(desk)
            names = [_free_name(name, condemned) for name in _packs(document, key)]
            creation = desk.create(key, {**document, "packs": names} if "packs" in document else document)
            stored = creation.document
            if creation.fresh:
                carrier.wrote(key, len(encode(stored)))
        if _hashes(stored, key) != _hashes(document, key):
            raise FormatError(f"{key} names other packs in the target than in the source", key=key)
        if settled:
            return stored
        condemned = _condemned(desk)  # after publishing
        if not any(_keys(name) & condemned.keys() for name in _packs(stored, key)):
            return stored
        # The collection may have read the references before this one was there. Nobody relies on the record yet, since
        # the run is not complete: it is made again, with other names.
        desk.backend.delete([key])
    raise TransientStorageError(f"The packs that {key} names were condemned again and again", key=key)


def _read(backend: Backend, key: str) -> dict[str, Any] | None:
    try:
        return decode(backend.get(key), key)
    except NotFoundError:
        return None


def _condemned(desk: Desk) -> dict[str, str]:
    """Condemned keys of the target, each with the token of the newest list that names it."""
    keys = [info.key for info in desk.backend.list(layout.GC)]
    found: dict[str, str] = {}
    for key, read in zip(
        keys, desk.environment.gather([partial(_read, desk.backend, key) for key in keys]), strict=True
    ):
        token = key.removeprefix(layout.GC).removesuffix(layout.SUFFIX)
        condemned = [] if read is None else read.get("condemned", [])
        found.update((one, token) for one in condemned if isinstance(one, str))
    return found


def _hashes(document: dict[str, Any], key: str) -> list[str]:
    """The packs without what a copy has put behind their names."""
    return [_stem(name).split(".")[0] for name in _packs(document, key)]


def _free_name(name: str, condemned: dict[str, str]) -> str:
    while hit := next((condemned[key] for key in sorted(_keys(name)) if key in condemned), None):
        stem = _stem(name)
        name = name.replace(stem, f"{stem}.{hit}")
    return name


def _keys(name: str) -> set[str]:
    return {f"{layout.OBJECTS}{_stem(name)}{suffix}" for suffix in _SUFFIXES}


def _stem(name: str) -> str:
    return name.removeprefix(layout.OBJECTS).removesuffix(".pack").removesuffix(".idx")


def _packs(document: dict[str, Any], key: str) -> list[str]:
    packs = document.get("packs", [])
    if not isinstance(packs, list) or not all(isinstance(pack, str) for pack in packs):
        raise FormatError(f"{key} is damaged: its packs are no list of names", key=key)
    return packs
