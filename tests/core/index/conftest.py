"""Documents as the actors of the protocol write them, and small stores made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.ids import parse_run_id
from runfolio.store.documents import encode, entry_document
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend

_names = count()
EPOCH = 1_700_000_000_000


class Documents:
    """Documents of runs, all different, all reproducible."""

    def run_id(self, number: int, project: str = "iris") -> str:
        return f"{project}_{EPOCH + number:013d}-{number % 100_000:05d}"

    def writer(self, run_id: str, name: str = "main") -> str:
        milliseconds = parse_run_id(run_id).milliseconds
        return f"{name}.{milliseconds * 2_654_435_761 % 2**64:016x}"

    def start(self, run_id: str, **fields: Any) -> dict[str, Any]:
        project, milliseconds, _ = parse_run_id(run_id)
        uid = f"{milliseconds * 40_503 % 2**128:032x}"
        created = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="microseconds")
        return {
            "format": 1, "wid": uid, "uid": uid, "kind": "start", "run": run_id, "number": milliseconds - EPOCH + 1,
            "project": project, "experiment": "train.py", "script": "src/train.py", "argv": ["--lr", "0.1"],
            "name": None, "note": None, "tags": ["prod"], "target": "local", "user_id": "ada",
            "main": self.writer(run_id), "parent": None, "created": created, "started": created, "host": "box",
            "properties": {"python": "3.11"}, "packages": {"numpy": "2.0"}, "params": {"lr": 0.1, "layers": 3},
            "snapshot": None, "mode": "online",
            **fields,
        }  # fmt: skip

    def end(self, run_id: str, writer: str | None = None, **fields: Any) -> dict[str, Any]:
        project, milliseconds, _ = parse_run_id(run_id)
        key = writer or self.writer(run_id)
        ended = datetime.fromtimestamp(milliseconds / 1000 + 60, UTC).isoformat(timespec="microseconds")
        return {
            "format": 1, "wid": f"{run_id}:{key}", "kind": "end", "run": run_id, "project": project, "writer": key,
            "main": key.startswith("main"), "attempt": 1, "status": "Completed", "reason": None, "traceback": None,
            "exit_code": 0, "ended": ended, "rows": 3, "params": {}, "summary": {"best": 7}, "definitions": {},
            "metrics": {
                "loss": self.summary(3, 0.25), "acc": {"kind": "float", "count": 1, "last": 0.5, "last_step": 0}
            },
            "properties": {}, "files": 1, "bytes": 10, "attachments": ["outputs/m.pkl"], "failed_uploads": [],
            "left_behind": [],
            **fields,
        }  # fmt: skip

    def summary(self, count: int, last: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
        return {
            "kind": "float", "count": count, "last": last, "last_step": count - 1,
            "min": last if low is None else low, "max": last if high is None else high, "min_step": 0, "max_step": 1,
        }  # fmt: skip

    def attempt(self, run_id: str, number: int, main: str) -> dict[str, Any]:
        return {
            "format": 1, "wid": f"{run_id}:{number}", "kind": "attempt", "run": run_id, "project": "iris",
            "attempt": number, "main": main, "host": "box", "argv": [], "reason": None, "at_step": None,
            "created": "2026-01-01T00:00:00.000000+00:00",
        }  # fmt: skip

    def edit(self, run_id: str, field: str, value: object, stamp: int = 1, token: str = "aa") -> dict[str, Any]:
        return {
            "format": 1, "wid": token, "kind": "edit", "run": run_id, "project": "iris", "field": field, "value": value,
            "who": "ada", "stamp": stamp, "token": token, "created": "2026-01-01T00:00:00.000000+00:00",
        }  # fmt: skip

    def delete(self, run_id: str, stamp: int = 1, token: str = "dd") -> dict[str, Any]:
        return {**self.edit(run_id, "", None, stamp, token), "kind": "delete", "field": None}

    def beat(self, run_id: str, writer: str | None = None, **fields: Any) -> dict[str, Any]:
        key = writer or self.writer(run_id)
        return {
            "format": 1, "wid": "beat", "run": run_id, "project": "iris", "writer": key, "main": True, "attempt": 1,
            "counter": 1, "rows": 2, "metrics": {"loss": self.summary(2, 0.75)}, "params": {"late": 1}, "summary": {},
            "definitions": {}, "created": "2026-01-01T00:00:00.000000+00:00", **fields,
        }  # fmt: skip


@dataclass
class Clock:
    """The clock of a store, moved by hand."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@dataclass
class Store:
    """A store and shortcuts to write into it as the actors do."""

    backend: Backend
    clock: Clock
    documents: Documents
    _ticks: Iterator[int] = field(default_factory=lambda: count(EPOCH * 1000))

    def folder(self, document: dict[str, Any]) -> None:
        """Store a document where it belongs in its run's folder."""
        run_id, kind = document["run"], document["kind"]
        key = {
            "start": lambda: layout.start(run_id),
            "attempt": lambda: layout.attempt(run_id, document["attempt"]),
            "end": lambda: layout.end(run_id, document["writer"]),
        }.get(kind, lambda: layout.edit(run_id, document["stamp"], document["token"]))()
        self.backend.put(key, encode(document))

    def log(self, document: dict[str, Any], at: int | None = None) -> str:
        """Put the log entry of a document, and return its key."""
        who = document.get("main") if document["kind"] == "start" else None
        who = who or document.get("writer") or document.get("token") or str(document.get("attempt"))
        name = layout.EntryName(next(self._ticks) if at is None else at, document["run"], document["kind"], who)
        self.backend.put(layout.entry(name), encode(entry_document(document)))
        return layout.entry(name)

    def write(self, *documents: dict[str, Any]) -> None:
        """Store documents and announce them."""
        for document in documents:
            self.folder(document)
            self.log(document)

    def run(self, number: int, **end: Any) -> str:
        """A run with start and end."""
        run_id = self.documents.run_id(number)
        self.write(self.documents.start(run_id), self.documents.end(run_id, **end))
        return run_id

    def beat(self, document: dict[str, Any]) -> None:
        self.backend.put(layout.beat(document["run"], document["writer"]), encode(document))

    def keys(self, prefix: str = "") -> list[str]:
        return [info.key for info in self.backend.list(prefix)]


@pytest.fixture(scope="session")
def documents() -> Documents:
    return Documents()


@pytest.fixture(scope="session")
def new_store(documents: Documents) -> Callable[[], Store]:
    """Makes empty stores in memory: for hypothesis, which calls a test many times."""

    def make() -> Store:
        clock = Clock()
        return Store(MemoryBackend(f"memory://index-{next(_names)}", clock=clock), clock, documents)

    return make


@pytest.fixture
def store(
    store_kind: str,
    store_url: str,
    open_backend: Callable[[str], Backend],
    new_store: Callable[[], Store],
    documents: Documents,
) -> Store:
    """An empty store, on each kind in turn. The clock of one in memory is the test's; that of others is the time."""
    if store_kind == "memory":
        return new_store()
    return Store(open_backend(store_url), Clock(time.time()), documents)
