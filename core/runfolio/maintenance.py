"""Upkeep of a store for people: what is in it, is it sound, rebuild its index, take out what nobody needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runfolio.connection import Connection
    from runfolio.costs import Prices

_SHOWN: Final = 5
_FREE: Final = frozenset({"file", "memory"})
"""Schemes of stores that nobody bills by request."""
_KINDS: Final = {"live": "rows", "metrics": "rows", "outputs": "artifacts", "logs": "artifacts", "edits": "records"}


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """What an upkeep found or did.

    Attributes:
        url: the store.
        figures: numbers by what they count.
        problems: what needs somebody's attention, a sentence each.
        kinds: objects and bytes by kind of object, where they were counted.
        requests: requests of this process to the store so far, by operation, where they were counted.
        costs: estimates in the currency of the prices, for a store that is billed.
    """

    url: str
    figures: Mapping[str, int]
    problems: Sequence[str] = ()
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing needs attention."""
        return not self.problems

    def lines(self) -> list[str]:
        """The report as text."""
        lines = [f"{self.url}"]
        lines += [f"{kind}: {objects:,} objects, {size:,} bytes" for kind, (objects, size) in self.kinds.items()]
        lines += [f"{name}: {number:,}" for name, number in self.figures.items()]
        lines += [f"requests so far, {operation}: {number:,}" for operation, number in self.requests.items()]
        lines += [f"{name}: about {cost:.6f}" for name, cost in self.costs.items()]
        return [*lines, *self.problems]


def info(connection: Connection, prices: Prices) -> UpkeepReport:
    """Count the objects of a store by kind, and say what its index holds. Lists every object once.

    Args:
        connection: the store.
        prices: for the estimates.
    """
    from runfolio.index.sweeping import info as index_info  # noqa: PLC0415 (loads pyarrow)

    connection.open()
    kinds: dict[str, tuple[int, int]] = {}
    for one in connection.backend.list():
        kind = _kind(one.key)
        objects, size = kinds.get(kind, (0, 0))
        kinds[kind] = (objects + 1, size + one.size)
    index = index_info(connection.index)
    problems = [] if index.damaged is None else [f"The index is damaged: {index.damaged}: run `runfolio store repair`"]
    if index.skipped:
        problems.append(
            f"Checkpoint {index.skipped} of the index is damaged and was done without: run `runfolio store repair`"
        )
    problems += _unreadable(index.unreadable)
    figures = {
        "runs": index.runs,
        "running": index.running,
        "lost": index.lost,
        "deleted": index.deleted,
        "checkpoint": index.seq,
        "unfolded entries": index.unfolded,
    }
    total = (sum(objects for objects, _ in kinds.values()), sum(size for _, size in kinds.values()))
    counts = connection.raw.counts()
    costs: dict[str, float] = {}
    if connection.url.partition(":")[0] not in _FREE:
        costs = {
            "cost of these requests": prices.of_requests(counts),
            "cost of storage, a month": prices.of_storage(total[1]),
        }
    return UpkeepReport(
        connection.url,
        figures,
        problems,
        {**dict(sorted(kinds.items())), "all": total},
        dict(sorted(counts.items())),
        costs,
    )


def _kind(key: str) -> str:
    room, _, rest = key.partition("/")
    if room != "runs":
        return {"index": "index", "log": "index", "beats": "index", "objects": "snapshots"}.get(
            room, room if rest else "store"
        )
    parts = rest.split("/")
    inside = parts[2] if len(parts) > 3 else ""  # noqa: PLR2004 (<p>/<id>/<room>/<name>)
    return _KINDS.get(inside, "records")


def repair(connection: Connection) -> UpkeepReport:
    """Rebuild the index from the run folders."""
    from runfolio.index.repairing import repair as repair_index  # noqa: PLC0415 (loads pyarrow)

    connection.writable()
    done = repair_index(connection.index)
    problems = _unreadable(done.unreadable)
    if done.hidden:
        problems.append(
            f"{len(done.hidden)} runs cannot be shown, their start is missing or unreadable: {_some(done.hidden)}"
        )
    figures = {
        "runs": done.runs,
        "deleted runs": done.deleted,
        "runs added to the index": len(done.added),
        "rows without a folder dropped": len(done.dropped),
        "covered segments removed": len(done.covered),
        "checkpoint written": done.seq,
    }
    return UpkeepReport(connection.url, figures, problems)


def gc(connection: Connection, *, dry_run: bool) -> UpkeepReport:
    """Find, and unless `dry_run` delete, what no run needs."""
    from runfolio.compact.sweeping import leftovers  # noqa: PLC0415 (loads pyarrow)
    from runfolio.index.sweeping import sweep  # noqa: PLC0415 (loads pyarrow)

    connection.open()
    found = sweep(connection.index, dry_run=dry_run, temporaries=connection.raw.sweep)
    copies = leftovers(connection.index)
    if not dry_run:
        connection.backend.delete(copies)
    gone = len(found.leftovers) + len(found.covered) + len(found.beats) + len(copies) + found.packs.deleted
    figures = {
        "left by deleted runs": len(found.leftovers),
        "kept, because an asset names them": len(found.pinned),
        "assets without their files": len(found.broken),
        "covered segments": len(found.covered),
        "old beats": len(found.beats),
        "unreachable snapshots": len(found.packs.unreachable) - len(found.packs.spared),
        "left by compactions": len(copies),
        "temporary files": found.temporaries,
        "deleted": 0 if dry_run else gone,
    }
    problems = _unreadable(found.packs.unreadable)
    if found.broken:
        names = _some([f"{name}@{version}" for name, version in found.broken])
        done = "would be" if dry_run else "were"
        problems.append(
            f"{len(found.broken)} versions of assets lost their files, since a promotion was killed while the run was "
            f"being deleted; they {done} taken back: {names}"
        )
    return UpkeepReport(connection.url, figures, problems)


def compact(connection: Connection) -> UpkeepReport:
    """Copy the rows of ended runs into large files."""
    from runfolio.compact.compacting import compact as compact_rows  # noqa: PLC0415 (loads pyarrow)

    connection.writable()
    done = compact_rows(connection.index)
    problems = _unreadable(done.unreadable)
    if done.outcome == "overtaken":
        problems.append("Another compaction was faster, so nothing was changed: nothing is left to do")
    figures = {
        "runs copied": done.added,
        "copies dropped": done.dropped,
        "runs with a copy": done.runs,
        "files": done.files,
        "bytes written": done.written,
        "objects removed": done.removed,
    }
    return UpkeepReport(connection.url, figures, problems)


def _unreadable(keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    return [
        f"{len(keys)} objects cannot be read and were left alone; they may come from a newer Runfolio: {_some(keys)}"
    ]


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", …" if len(words) > _SHOWN else "")
