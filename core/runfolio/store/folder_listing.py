"""What one listing of a run's folder says, without opening anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio import layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runfolio.backend import ObjectInfo

_ATTEMPT: Final = re.compile(r"attempt-([0-9]{1,9})\.json")
_END: Final = re.compile(r"end-(.+)\.json")
_MANIFEST: Final = re.compile(r"manifest-(.+)\.parquet")
_EDIT: Final = re.compile(r"[0-9]{1,20}-[A-Za-z0-9]+\.json")


@dataclass(slots=True)
class FolderListing:
    """The objects of one run by what they are. Strangers' files are in `others`.

    Attributes:
        started: ``start.json`` is there.
        source: ``source.json`` is there.
        attempts: number -> key.
        ends: writer -> key.
        manifests: writer -> key.
        edits: keys, by stamp.
        live: segments of writers that may not have ended.
        metrics: merged rows of ended writers.
        files: artifact objects, by key.
        others: everything else.
    """

    started: bool = False
    source: bool = False
    attempts: dict[int, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    live: list[layout.Segment] = field(default_factory=list)
    metrics: list[layout.Segment] = field(default_factory=list)
    files: dict[str, ObjectInfo] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def writers(self) -> set[str]:
        """Every writer that left a trace here."""
        return {*self.ends, *self.manifests, *(one.writer for one in (*self.live, *self.metrics))}


def sort_out(run_id: str, objects: Iterable[ObjectInfo]) -> FolderListing:
    """Sort the objects of a run's folder by what they are."""
    found = FolderListing()
    folder = layout.run_folder(run_id)
    for info in objects:
        _place(found, info, info.key.removeprefix(folder))
    return found


def _place(found: FolderListing, info: ObjectInfo, name: str) -> None:
    room, _, rest = name.partition("/")
    if rest:
        _place_in_room(found, info, room, rest)
    elif name == "start.json":
        found.started = True
    elif name == "source.json":
        found.source = True
    elif match := _ATTEMPT.fullmatch(name):
        found.attempts[int(match[1])] = info.key
    elif match := _END.fullmatch(name):
        found.ends[match[1]] = info.key
    elif match := _MANIFEST.fullmatch(name):
        found.manifests[match[1]] = info.key
    else:
        found.others.append(info.key)


def _place_in_room(found: FolderListing, info: ObjectInfo, room: str, rest: str) -> None:
    part = layout.segment_of(info.key) if room in ("live", "metrics") and "/" not in rest else None
    if part is not None:
        (found.live if room == "live" else found.metrics).append(part)
    elif room in ("outputs", "logs"):
        found.files[info.key] = info
    elif room == "edits" and _EDIT.fullmatch(rest):
        found.edits.append(info.key)
    else:
        found.others.append(info.key)
