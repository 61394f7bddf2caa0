"""What is gone by the time it is read: others compact, or delete, at the very moment when it is about to be read.

Too rare for the mixed scenarios. Each moment is made here, and each is shown to need the rule that gone is no error.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio import layout
from runfolio.compact import compacting, manifest, reading
from runfolio.compact.compacting import compact
from runfolio.errors import NotFoundError
from runfolio.index.view import Index
from runfolio.plugins import Plugins
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_spaces = count()
_PER_RUN = 3


class Meanwhile(WrappedBackend):
    """Lets somebody else act just before the n-th read of an object under a prefix."""

    prefix = "none/"
    nth = 0

    def before(self, prefix: str, nth: int, act: Callable[[], object]) -> None:
        self.prefix, self.nth, self.act = prefix, nth, act

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        if key.startswith(self.prefix):
            self.nth -= 1
            if self.nth == 0:
                self.act()
        return super().get(key, start, end)


class Store:
    """A store with four runs, of which copies were made, and two more; and somebody whose reads can be met."""

    def __init__(self) -> None:
        plugins = Plugins(disabled=["system_metrics"])
        self.owner = rf.open_history(f"memory://gone-{next(_spaces)}", project="p", plugins=plugins)
        self.ids = self.add(4)
        self.owner.compact()
        self.ids += self.add(2)
        self.backend = Meanwhile(self.owner._connection.raw)
        self.other = rf.open_history(self.owner.url, project="p", plugins=plugins)
        self.other._connection._raw = self.backend  # type: ignore[assignment]  # as good as a counted one

    def add(self, runs: int) -> list[str]:
        ids = []
        for _ in range(runs):
            with self.owner.start_run() as run:
                for step in range(_PER_RUN):
                    run.log("loss", float(step), step=step)
            ids.append(run.id)
        return ids

    def replace_copies(self) -> None:
        """Delete a run that was copied and compact: the files with it go at once."""
        self.owner.run(self.ids[0]).delete()
        assert self.owner.compact().ok

    def read(self) -> Counter[str]:
        """Rows by run, of the runs that stay."""
        table = self.other.metrics(self.ids[1:])
        return Counter(table.column("run_id").to_pylist())

    def compact(self) -> Counter[str]:
        """Compact, and read what there is then."""
        compact(Index(self.backend))
        return self.read()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    # Copies serve whenever they can, not only where they save requests.
    monkeypatch.setattr(reading, "FEW", 0)
    monkeypatch.setattr(reading, "_WORTH", 0)
    made = Store()
    with made.owner, made.other:
        yield made


def reads_the_list(store: Store) -> Callable[[], Counter[str]]:
    """A reader has the name of the newest list, which is then two lists old."""

    def compact_twice() -> None:
        store.replace_copies()
        store.add(1)
        store.owner.compact()

    store.backend.before("compact/", 1, compact_twice)
    return store.read


def opens_a_copy(store: Store) -> Callable[[], Counter[str]]:
    """A reader has the list, and the file that it names is gone."""
    store.backend.before("compact/part-", 1, store.replace_copies)
    return store.read


def reads_a_copy(store: Store) -> Callable[[], Counter[str]]:
    """A reader has the footer of a file, whose rows are gone."""
    store.backend.before("compact/part-", 2, store.replace_copies)
    return store.read


def writes_a_copy_again(store: Store) -> Callable[[], Counter[str]]:
    """A compactor is to write a file again, together with new runs."""
    store.owner.run(store.ids[1]).delete()  # the file has to be written again
    del store.ids[1]
    store.backend.before("compact/part-", 2, store.replace_copies)
    return store.compact


def copies_a_run(store: Store) -> Callable[[], Counter[str]]:
    """A compactor is to copy a run that is deleted."""
    gone = store.ids.pop()
    store.backend.before(layout.metrics(gone), 1, store.owner.run(gone).delete)
    return store.compact


MOMENTS = [reads_the_list, opens_a_copy, reads_a_copy, writes_a_copy_again, copies_a_run]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.__name__)
def test_what_is_gone_is_read_from_where_it_is_now(
    store: Store, moment: Callable[[Store], Callable[[], Counter[str]]]
) -> None:
    do = moment(store)
    assert do() == dict.fromkeys(store.ids[1:], _PER_RUN)
    assert store.backend.nth <= 0, "nobody acted meanwhile"


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.__name__)
def test_the_rule_that_gone_is_no_error_is_needed(
    store: Store, moment: Callable[[Store], Callable[[], Counter[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    do = moment(store)
    for module in (reading, manifest, compacting):
        monkeypatch.setattr(module, "NotFoundError", ZeroDivisionError)  # which nothing raises
    with pytest.raises(NotFoundError):
        do()
