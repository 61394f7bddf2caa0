"""Heartbeats as a reader sees them: who still writes, and the latest values of runs that still run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import NotFoundError, RunfolioError
from runfolio.index.liveness import FRESH, Liveness, StoreClock
from runfolio.store.beating import spread
from runfolio.store.documents import FORMAT
from runfolio.values import load_json

if TYPE_CHECKING:
    from runfolio.backend import Backend, ObjectInfo
    from runfolio.store.environment import Gather

Beat = Mapping[str, Any]
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Beats:
    """The beats that one LIST of ``beats/`` has shown, by run and writer."""

    def __init__(self, listing: Iterable[ObjectInfo]) -> None:
        self.by_run: dict[str, dict[str, ObjectInfo]] = {}
        for info in listing:
            try:
                found = layout.beat_of(info.key)
            except RunfolioError:
                continue  # a stranger's file
            if found is not None:
                self.by_run.setdefault(found[0], {})[found[1]] = info


class BeatReader:
    """Gets beats, again only after they were written again.

    Args:
        backend: where the store lies.
        gather: runs the gets.
    """

    def __init__(self, backend: Backend, gather: Gather) -> None:
        self._backend = backend
        self._gather = gather
        self._read: dict[ObjectInfo, Beat | None] = {}

    def get(self, wanted: Mapping[str, Mapping[str, ObjectInfo]]) -> dict[str, dict[str, Beat]]:
        """Return the beats of these runs by run and writer, with those that another one carries along.

        One that is gone or damaged is left out.
        """
        infos = [info for writers in wanted.values() for info in writers.values()]
        missing = [info for info in infos if info not in self._read or info.modified is None]
        found = self._gather([self._getter(info) for info in missing])
        listed = set(infos)
        self._read = {info: beat for info, beat in self._read.items() if info in listed}
        self._read.update(zip(missing, found, strict=True))
        return {
            run_id: spread({writer: beat for writer, info in writers.items() if (beat := self._read[info]) is not None})
            for run_id, writers in wanted.items()
        }

    def _getter(self, info: ObjectInfo) -> Callable[[], Beat | None]:
        def get() -> Beat | None:
            try:
                beat = load_json(self._backend.get(info.key))
            except (NotFoundError, ValueError):
                return None
            if (
                not isinstance(beat, dict)
                or not isinstance(version := beat.get("format", FORMAT), int)
                or version > FORMAT
            ):
                return None
            return beat

        return get


def last_sign(run_id: str, writer: str | None, beats: Beats, announced: Mapping[str, datetime]) -> datetime | None:
    """When the store last took something from the main writer: its beat, or the entry of its start or attempt.

    Args:
        run_id: the run.
        writer: its main writer, None where that is not known.
        beats: what is in ``beats/``.
        announced: by run, when the newest start or attempt that is still in ``log/`` was written.
    """
    beat = beats.by_run.get(run_id, {}).get(writer) if writer is not None else None
    signs = [beat.modified if beat is not None else None, announced.get(run_id)]
    return max((sign for sign in signs if sign is not None), default=None)


def announcements(log: Iterable[ObjectInfo]) -> dict[str, datetime]:
    """By run, when the newest start or attempt in a listing of ``log/`` was written."""
    found: dict[str, datetime] = {}
    for info in log:
        try:
            name = layout.entry_of(info.key)
        except RunfolioError:
            continue
        if name is not None and name.kind in ("start", "attempt") and info.modified is not None:
            found[name.run_id] = max(info.modified, found.get(name.run_id, info.modified))
    return found


def liveness_without_sign(created_us: int | None, clock: StoreClock) -> Liveness:
    """Liveness of a run that has neither a beat nor an entry in ``log/``.

    It ended its beats without an end, or it is so young that its first beat is still to come. Only here the writer's
    own clock is asked for its age, and it may only make a run `unknown` that would be `lost`.
    """
    now, _ = clock.now()
    if now is None:
        return "unknown"
    if created_us is None:
        return "lost"
    age = now - (_EPOCH + timedelta(microseconds=created_us))
    return "unknown" if age <= FRESH else "lost"
