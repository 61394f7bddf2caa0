"""``compact/<rev seq>.json``: which files hold the copies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, TransientStorageError
from runfolio.ids import parse_run_id
from runfolio.store.documents import FORMAT, decode, require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runfolio.backend import Backend, ObjectInfo

_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class Part:
    """One file of copied rows.

    Attributes:
        token: what names it.
        size: its bytes.
        footer: bytes of its footer, with the trailer.
        rows: its rows.
        runs: how many runs it holds.
        first: the first of them, by `run_order`.
        last: the last of them.
    """

    token: str
    size: int
    footer: int
    rows: int
    runs: int
    first: str
    last: str

    @property
    def key(self) -> str:
        """Where it lies."""
        return layout.compacted(self.token)

    def may_hold(self, run_id: str) -> bool:
        """Whether a run lies between its first and last."""
        return run_order(self.first) <= run_order(run_id) <= run_order(self.last)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A list of files. Each run is in one of them at most.

    Attributes:
        seq: its number; 0 for none.
        wid: its write id.
        since: number of the checkpoint of the index that it was made from.
        parts: the files.
    """

    seq: int = 0
    wid: str = ""
    since: int = 0
    parts: tuple[Part, ...] = ()

    def document(self) -> dict[str, Any]:
        """The document."""
        return {
            "format": FORMAT,
            "wid": self.wid,
            "seq": self.seq,
            "since": self.since,
            "parts": [asdict(part) for part in self.parts],
        }


def run_order(run_id: str) -> tuple[str, str]:
    """How runs are sorted in compacted files: by project, then by id."""
    return parse_run_id(run_id).project, run_id


def read_manifest(data: bytes, key: str) -> Manifest:
    """Read a list of files.

    Raises:
        FormatError: it is damaged, or of a newer format.
    """
    document = decode(data, key)
    require(document, key, seq=int, since=int, parts=list)
    kinds = {"token": str, "size": int, "footer": int, "rows": int, "runs": int, "first": str, "last": str}
    parts = []
    for one in document["parts"]:
        if not isinstance(one, dict):
            raise FormatError(f"{key} is damaged: one of its parts is no object", key=key)
        require(one, key, **kinds)
        parts.append(Part(**{name: one[name] for name in kinds}))
    return Manifest(document["seq"], document["wid"], document["since"], tuple(parts))


def newest_first(listing: Iterable[ObjectInfo]) -> list[int]:
    """The numbers of the lists of files in a listing of ``compact/``."""
    return [seq for one in listing if (seq := layout.compaction_of(one.key)) is not None]


def newest_manifest(backend: Backend, known: Manifest | None = None) -> Manifest:
    """Return the newest list of files (2 requests, 1 when it is known already, or when there is none).

    Args:
        backend: where the store lies.
        known: one that was read before.

    Raises:
        FormatError: it cannot be read.
        StorageError: the storage failed.
    """
    for _ in range(_ROUNDS):
        found = newest_first(backend.list(layout.COMPACT, limit=1))
        if not found:
            return Manifest()
        if known is not None and known.seq == found[0]:
            return known
        key = layout.compaction(found[0])
        try:
            return read_manifest(backend.get(key), key)
        except NotFoundError:
            continue  # replaced, and removed, meanwhile
    raise TransientStorageError("The lists of compacted files keep changing", key=layout.COMPACT, operation="get")
