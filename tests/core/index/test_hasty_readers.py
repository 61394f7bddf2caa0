"""Two rules of List taken out: readers that hurry miss what was acknowledged, at the moments where ours does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.index.beating import Beats
from runfolio.index.folding import fold
from runfolio.index.tail import unheld
from runfolio.index.view import Index, View
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runfolio.backend import Backend, ObjectInfo


pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")


class IndexFirst(Index):
    """Lists ``index/`` before ``log/``."""

    def refresh(self, *, live: bool = True) -> View:
        del live
        state, _ = self.reader.read()
        tail = None
        while tail is None:
            keys = self.entries.entry_keys(list(self.backend.list(layout.LOG)))
            tail = self.entries.get(unheld(keys, state.held))
        return View(state, tail, Beats([]), {}, self.clock)


class GoneIsSkipped(Index):
    """Does without entries that are gone."""

    def refresh(self, *, live: bool = True) -> View:
        del live
        keys = self.entries.entry_keys(list(self.backend.list(layout.LOG)))
        state, _ = self.reader.read()
        wanted = unheld(keys, state.held)
        tail = self.entries.get(wanted)
        while tail is None:
            wanted = [key for key in wanted if key in self.entries]
            tail = self.entries.get(wanted)
        return View(state, tail, Beats([]), {}, self.clock)


class Interrupting(WrappedBackend):
    """Does something once, just before a chosen request."""

    def __init__(self, inner: Backend, operation: str, prefix: str, then: Callable[[], object]) -> None:
        super().__init__(inner)
        self.operation, self.prefix, self.then = operation, prefix, then
        self.struck = 0

    def _before(self, operation: str, key: str) -> None:
        if operation == self.operation and key.startswith(self.prefix) and not self.struck:
            self.struck += 1
            self.then()

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        self._before("get", key)
        return self.inner.get(key, start, end)

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        self._before("list", prefix)
        return self.inner.list(prefix, start_after=start_after, limit=limit)


MOMENTS = [("list", layout.LOG), ("list", layout.INDEX), ("get", layout.INDEX), ("get", layout.LOG)]


@pytest.mark.parametrize(("operation", "prefix"), MOMENTS)
@pytest.mark.parametrize("folds", [1, 2, 5])
def test_folds_at_any_moment_hide_nothing(store: Any, operation: str, prefix: str, folds: int) -> None:
    assert seen(store, Index, operation, prefix, folds) == [1, 2]


@pytest.mark.parametrize(
    ("hasty", "operation", "prefix"), [(IndexFirst, "list", layout.LOG), (GoneIsSkipped, "get", layout.LOG)]
)
def test_a_reader_that_hurries_misses_what_was_acknowledged(
    store: Any, hasty: type[Index], operation: str, prefix: str
) -> None:
    assert seen(store, hasty, operation, prefix, 2) == [1]


def seen(store: Any, reader: type[Index], operation: str, prefix: str, folds: int) -> list[int]:
    """The numbers of the runs that a reader sees while the second one is folded and taken out of the log."""
    store.run(0)
    for _ in range(2):
        fold(Index(store.backend), force=True)
    store.run(1)

    def meanwhile() -> None:
        for _ in range(folds):
            fold(Index(store.backend), force=True)

    backend = Interrupting(store.backend, operation, prefix, meanwhile)
    numbers: list[int] = reader(backend).refresh().table.column("run_number").to_pylist()
    assert backend.struck
    return sorted(numbers)
