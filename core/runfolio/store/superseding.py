"""Which rows of a run a later attempt took the place of: it went on at a step, and what lies beyond is hidden.

Nothing is rewritten: readers leave those rows out. A run without such an attempt costs no request here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from runfolio.errors import FormatError, NotFoundError
from runfolio.store.documents import decode
from runfolio.store.folder_listing import sort_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.store.environment import Environment


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows that are hidden.

    Attributes:
        run_id: of this run.
        writers: of these writers, which belong to earlier attempts.
        step: from this step on.
    """

    run_id: str
    writers: frozenset[str]
    step: int


def read_cuts(backend: Backend, listed: Mapping[str, Iterable[ObjectInfo]], environment: Environment) -> list[Cut]:
    """Return what is hidden of runs (one request for each attempt; one more for each end where one went on at a step).

    Args:
        backend: where the store lies.
        listed: the objects of each run's folder, its attempts and ends among them.
        environment: parallelism.

    Raises:
        StorageError: the storage failed.
    """
    again = {run_id: listing for run_id, objects in listed.items() if (listing := sort_out(run_id, objects)).attempts}
    if not again:
        return []
    keys = [(run_id, key) for run_id, listing in again.items() for key in listing.attempts.values()]
    found = environment.gather([partial(_document, backend, key) for _, key in keys])
    attempts: dict[str, dict[int, dict[str, Any]]] = {}
    for (run_id, _), document in zip(keys, found, strict=True):
        if document is not None:
            attempts.setdefault(run_id, {})[document["attempt"]] = document
    going_on = {
        run_id: own for run_id, own in attempts.items() if any(one.get("at_step") is not None for one in own.values())
    }
    keys = [(run_id, key) for run_id in going_on for key in again[run_id].ends.values()]
    ends = environment.gather([partial(_document, backend, key) for _, key in keys])
    joined: dict[str, dict[str, int]] = {run_id: {} for run_id in going_on}
    for (run_id, _), end in zip(keys, ends, strict=True):
        if end is not None:
            joined[run_id][end["writer"]] = end.get("attempt", 1)
    return [cut for run_id, own in going_on.items() for cut in _cuts(run_id, own, joined[run_id])]


def _cuts(run_id: str, attempts: Mapping[int, Mapping[str, Any]], joined: Mapping[str, int]) -> Iterable[Cut]:
    """The cuts of one run.

    Args:
        run_id: the run.
        attempts: its attempts by number.
        joined: the attempt that each ended writer belongs to. One may end, and even appear, long after the next began.
    """
    for number, attempt in attempts.items():
        if attempt.get("at_step") is None:
            continue
        earlier = {writer for writer, its in joined.items() if its < number}
        earlier.update(attempts[before]["main"] for before in attempts if before < number)
        # Its own main writer may be that of the attempt before, which went back to a step.
        hidden = {*earlier, *(attempt.get("replaced") or ())} - {attempt["main"]}
        yield Cut(run_id, frozenset(hidden), attempt["at_step"])


def _document(backend: Backend, key: str) -> dict[str, Any] | None:
    """Read a document; None for one that is gone, with its run, or damaged."""
    try:
        return decode(backend.get(key), key)
    except (NotFoundError, FormatError):
        return None
