"""Snapshot: the source of a run gets into the store (Start 5 to 8).

The reference is published first, and only then is looked at what is being collected as garbage. A pack that a condemned
list names counts as absent: its objects go into another one, under ``<sha>.<token of the list>``, which the published
reference protects as well, because gc takes ``<sha>.…`` for needed whenever ``<sha>`` is.

A snapshot of which nothing is new is published by the start record itself, which names its packs. What is being
collected is then looked at before the end, which says "complete" (no request beyond those of start).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, StorageError
from runfolio.snapshot.known import is_stale
from runfolio.snapshot.objects import FOLDER, REPOSITORY, build
from runfolio.snapshot.rebuilding import MissingError, Rebuilder
from runfolio.snapshot.snapshot import Snapshot
from runfolio.store.documents import FORMAT, decode, encode, load_source

if TYPE_CHECKING:
    from runfolio.snapshot.objects import Built, Entry
    from runfolio.store.desk import Desk

logger = logging.getLogger(__name__)
_TOKEN: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_EARLIER: Final = 3
"""Runs before this one that are looked at for what the store holds."""


def intend_source(desk: Desk, snapshot: Snapshot) -> None:
    """Journal that a snapshot is to be stored, after the start was journaled. No request."""
    folder = snapshot.save().parent
    desk.ledger.note(
        "snapshot", {"folder": os.fspath(folder), "commit": snapshot.commit, "unchanged": snapshot.unchanged}
    )


def push_source(desk: Desk, run_id: str, *, store_id: str | None = None, last: bool = False) -> dict[str, str] | None:
    """Do the rest of an intended snapshot. Harmless to repeat.

    Args:
        desk: where to work.
        run_id: the run.
        store_id: of the store, where it is known.
        last: the run is about to end: what cannot be stored now is noted as incomplete.

    Returns:
        The packs that hold each object of the snapshot now, by id; None when there was nothing to do, or it failed for
        good.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed; the next call, or a replay, goes on.
    """
    state = desk.ledger.state
    intent = state.snapshot
    if intent is None or state.source_outcome is not None or (intent["unchanged"] and not last):
        return None
    try:
        snapshot = Snapshot.load(Path(intent["folder"]))
        work = _Sourcing(desk, run_id, snapshot, store_id)
        homes = work.settle() if snapshot.unchanged else work.send()
    except MissingError as error:
        _fail(desk, str(error))
        return None
    except StorageError as error:
        if error.retryable or not last:
            raise
        _fail(desk, str(error))
        return None
    except (OSError, ValueError, FormatError) as error:
        _fail(desk, f"the snapshot cannot be read any more: {error}")
        return None
    desk.ledger.note("source-stored", {"complete": True})
    return homes


def _fail(desk: Desk, reason: str) -> None:
    logger.warning("The source snapshot is not complete: %s", reason)
    desk.ledger.note("source-stored", {"complete": False, "reason": reason[:1000]})


@dataclass(slots=True)
class _Condemned:
    """What is being collected: the tokens of the lists that name a pack, by its stem."""

    lists: dict[str, list[str]] = field(default_factory=dict)

    def __contains__(self, stem: str) -> bool:
        return stem in self.lists

    def free_name(self, stem: str, token: str) -> str:
        """A name of the same family that no list names."""
        family = layout.family_of(stem)
        for one in (*self.lists.get(stem, ()), token):
            if f"{family}.{one}" not in self.lists:
                return f"{family}.{one}"
        raise AssertionError("unreachable: the last token is new")


class _Sourcing:
    """One snapshot on its way."""

    def __init__(self, desk: Desk, run_id: str, snapshot: Snapshot, store_id: str | None) -> None:
        self.desk, self.run_id, self.snapshot = desk, run_id, snapshot
        other = store_id is not None and snapshot.store_id is not None and snapshot.store_id != store_id
        self.foreign = other
        self.built: Built = build(snapshot.entries)
        self.ids = {entry.sha for entry in snapshot.entries if _is_file(entry)} | set(self.built.objects)

    # Nothing is new: the start record has published it.

    def settle(self) -> dict[str, str]:
        """Look whether everything is there, and bring what is not."""
        homes = dict(self.snapshot.homes)
        condemned = self._condemned()
        lost = self._lost(homes, condemned)
        if lost:
            again = sorted(sha for sha, home in homes.items() if home in lost)
            stem = condemned.free_name(min(lost), self.desk.environment.token())
            self._put(self._rebuild(again), stem)
            homes.update(dict.fromkeys(again, stem))
        return homes

    # Something is new.

    def send(self) -> dict[str, str]:
        """Publish the reference, and send what is missing."""
        plan = self._plan()
        homes: dict[str, str] = plan["homes"]
        document = load_source(Path(plan["document"]).read_bytes(), layout.source(self.run_id))
        creation = self.desk.create(layout.source(self.run_id), document)  # 5
        if not creation.ours:
            raise MissingError("another process of this run has stored its source")
        condemned = self._condemned()  # 6
        lost = self._lost(homes, condemned)
        stem: str | None = plan["stem"]
        pack = None if plan["pack"] is None else Path(plan["pack"])
        new = self.ids - set(homes)
        again = {sha for sha, home in homes.items() if home in lost}
        if again or (stem is not None and stem in condemned):
            pack = self._rebuild(sorted(new | again))
            stem = condemned.free_name(stem or min(lost), self.desk.environment.token())
        if pack is not None and stem is not None:
            self._put(pack, stem)  # 7
            homes.update(dict.fromkeys(new | again, stem))
        return homes

    def _plan(self) -> dict[str, Any]:
        """Decide what is sent, and note it before the first request about it."""
        noted = self.desk.ledger.state.source
        if noted is not None:
            return {**noted, "homes": dict(noted["homes"])}
        snapshot = self.snapshot
        homes = {} if self.foreign else dict(snapshot.homes)
        pack = snapshot.pack
        if snapshot.learn or self.foreign:
            homes = self._learn()
        new = sorted(self.ids - set(homes))
        if not new:
            pack = None
        elif homes != snapshot.homes:
            pack = self._rebuild(new)
        stem = None if pack is None else pack.stem
        path = snapshot.folder / "source.json"
        path.write_bytes(encode(self._document(homes, stem)))
        plan: dict[str, Any] = {
            "document": os.fspath(path),
            "pack": None if pack is None else os.fspath(pack),
            "stem": stem,
            "homes": homes,
        }
        self.desk.ledger.note("source", plan)
        return {**plan, "homes": dict(homes)}

    def _document(self, homes: Mapping[str, str], stem: str | None) -> dict[str, Any]:
        snapshot = self.snapshot
        stems: list[str] = sorted({*homes.values(), *([] if stem is None else [stem])})
        places = {one: at for at, one in enumerate(stems)}

        def place(sha: str) -> int | None:
            found = homes.get(sha, stem)
            return None if found is None else places[found]

        return {
            "format": FORMAT,
            "wid": f"{self.desk.ledger.uid}:source",
            "kind": "source",
            "run": self.run_id,
            "commit": snapshot.commit,
            "tree": snapshot.tree,
            "packs": [layout.pack(one) for one in stems],
            "files": [
                [spell_path(one.path), f"{one.mode:06o}", one.size, one.sha, place(one.sha) if _is_file(one) else None]
                for one in snapshot.entries
            ],
            "trees": [[sha, place(sha)] for sha in sorted(self.built.objects)],
            "left_out": [[spell_path(path), reason] for path, reason in snapshot.left_out],
            "created": self.desk.environment.timestamp(),
        }

    def _rebuild(self, ids: list[str]) -> Path:
        return Rebuilder(self.snapshot, self.built).pack(ids)

    def _put(self, pack: Path, stem: str) -> None:
        # The pack last: where it is, all of it is there.
        self.desk.backend.put_file(layout.pack_index(stem), pack.with_suffix(".idx"))
        self.desk.backend.put_file(layout.pack(stem), pack)

    # What the store holds

    def _lost(self, homes: Mapping[str, str], condemned: _Condemned) -> set[str]:
        """Packs that this snapshot relies on and that are not there, or will not be."""
        used = set(homes.values())
        if self.foreign and self.snapshot.unchanged:
            return used
        lost = {stem for stem in used if stem in condemned}
        seen = self.snapshot.seen
        if used and seen is not None and not self.snapshot.learn and is_stale(seen, self.desk.environment.wall()):
            lost |= used - self._present()
        return lost

    def _present(self) -> set[str]:
        keys = [info.key for info in self.desk.backend.list(layout.OBJECTS)]
        return {layout.stem_of(key) for key in keys if key.endswith(layout.PACK)}

    def _condemned(self) -> _Condemned:
        found = _Condemned()
        keys = [info.key for info in self.desk.backend.list(layout.GC)]

        def get(key: str) -> bytes | None:
            try:
                return self.desk.backend.get(key)
            except NotFoundError:
                return None  # it expired meanwhile

        for key, data in zip(keys, self.desk.environment.gather([partial(get, key) for key in keys]), strict=True):
            token = key.removeprefix(layout.GC).removesuffix(layout.SUFFIX)
            names = [] if data is None else decode(data, key).get("condemned")
            if not _TOKEN.fullmatch(token) or not isinstance(names, list):
                continue
            for name in names:
                if isinstance(name, str) and token not in found.lists.setdefault(layout.stem_of(name), []):
                    found.lists[layout.stem_of(name)].append(token)
        return found

    def _learn(self) -> dict[str, str]:
        """Ask the runs before this one which packs hold what this snapshot needs."""
        number = self.desk.ledger.state.number or 0
        for one in range(number - 1, max(0, number - 1 - _EARLIER), -1):
            document = self._earlier(one)
            if document is not None:
                wanted = {sha: stem for sha, stem in held_by(document).items() if sha in self.ids}
                present = self._present() if wanted else set()
                return {sha: stem for sha, stem in wanted.items() if stem in present}
        return {}

    def _earlier(self, number: int) -> dict[str, Any] | None:
        """The source record of an earlier run of the project, or of the run whose files it shares."""
        project = layout.project_of(self.run_id)
        try:
            key = layout.number(project, number)
            run_id = str(decode(self.desk.backend.get(key), key).get("run"))
            if layout.project_of(run_id) != project:
                return None
            try:
                return read_source(self.desk, run_id)
            except NotFoundError:
                key = layout.start(run_id)
                other = decode(self.desk.backend.get(key), key).get("listed_by")
                return read_source(self.desk, str(other)) if layout.project_of(str(other)) == project else None
        except (NotFoundError, FormatError, ValueError):
            return None


def read_source(desk: Desk, run_id: str) -> dict[str, Any]:
    """Return the source record of a run.

    Raises:
        NotFoundError: there is none.
        FormatError: it is damaged, or unreasonably large.
    """
    key = layout.source(run_id)
    return load_source(desk.backend.get(key, 0, layout.LARGEST_SOURCE + 1), key)


def held_by(document: Mapping[str, Any]) -> dict[str, str]:
    """Return which pack holds each object that a source record lists. What is malformed is left out."""
    packs = [layout.stem_of(key) if layout.is_pack(key) else None for key in document["packs"]]
    found: dict[str, str] = {}
    trees = document.get("trees")
    for row in [*document["files"], *(trees if isinstance(trees, list) else [])]:
        if not isinstance(row, list) or len(row) < 2:  # noqa: PLR2004 (id and place)
            continue
        sha, place = row[-2], row[-1]
        if isinstance(sha, str) and isinstance(place, int) and 0 <= place < len(packs):
            stem = packs[place]
            if stem is not None:
                found[sha] = stem
    return found


def spell_path(path: str) -> str | dict[str, str]:
    """Return a path as documents spell it: a text, or its bytes in hex when they are no UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return {"hex": path.encode("utf-8", "surrogateescape").hex()}
    return path


def _is_file(entry: Entry) -> bool:
    return entry.mode not in (REPOSITORY, FOLDER)
