"""Rules for real processes: started anew, forked, and killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.testing import other_processes
from runfolio.testing.conformance.abilities import keeps_to_itself, needs, refuses_to_be_shared
from runfolio.testing.conformance.stores import StoreRules
from runfolio.testing.other_processes import METHODS, processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from runfolio.backend import Backend
    from runfolio.testing.other_processes import OtherProcess, Work

_COUNT: Final = 3
_EACH_METHOD = pytest.mark.parametrize("method", METHODS)


class ProcessConformance(StoreRules):
    """Processes that share a store. Without the capability `shared`: they must not see one another's objects."""

    @_EACH_METHOD
    @needs("shared", otherwise=keeps_to_itself)
    def test_processes_share(self, backend: Backend, method: str) -> None:
        """What another process writes is seen here and the other way round, by a fork and by a new process alike."""
        backend.put("mine", b"by the parent")
        with self._start(method, [(other_processes.peek_and_put, (backend, "mine", "theirs"))]) as (child,):
            child.go()
            assert child.answer() == "by the parent"
        assert backend.get("theirs") == b"by another process"

    @_EACH_METHOD
    @needs("shared", otherwise=keeps_to_itself)
    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_one_process_wins(self, backend: Backend, method: str) -> None:
        """Of several processes that create the same keys at one instant exactly one makes each of them."""
        keys = [f"race/{at:02d}" for at in range(20)]
        works = [(other_processes.create_each, (backend, keys, bytes([who]) * 5_000)) for who in range(_COUNT)]
        with self._start(method, works) as children:
            for child in children:
                child.go()
            answers = [child.answer() for child in children]
        for at, key in enumerate(keys):
            winners = [who for who in range(_COUNT) if answers[who][at]]
            assert len(winners) == 1, f"{len(winners)} of {_COUNT} processes created {key}"
            assert self.raw_get(backend, key) == bytes([winners[0]]) * 5_000

    @_EACH_METHOD
    @needs("shared", otherwise=keeps_to_itself)
    def test_processes_work_side_by_side(self, backend: Backend, method: str) -> None:
        """Children that inherit a used backend, or unpickle it, work beside their parent, which goes on with it."""
        backend.put("shared/first", b"contents")
        assert [info.key for info in backend.list()] == ["shared/first"]
        works = [(other_processes.read_write_list, (backend, f"child-{who}")) for who in range(_COUNT)]
        with self._start(method, works) as children:
            for child in children:
                child.go()
            for at in range(20):
                backend.put(f"shared/parent/{at:02d}", b"x")
                assert backend.get("shared/first") == b"contents"
            answers = [child.answer() for child in children]
        for who, (found, listed) in enumerate(answers):
            assert found == b"contents"
            assert listed == [f"shared/child-{who}/{at}" for at in range(1, 5)]
            assert self.raw_get(backend, f"shared/child-{who}/4") == f"child-{who}".encode() * 5
        assert len([*backend.list("shared/")]) == 1 + 20 + 4 * _COUNT

    @_EACH_METHOD
    @needs("shared", otherwise=keeps_to_itself)
    def test_a_killed_process(self, backend: Backend, method: str) -> None:
        """A process that is killed while it writes leaves whole objects, and nothing that keeps others from writing."""
        with self._start(method, [(other_processes.write_for_ever, (backend,))]) as (child,):
            child.go()
            for _ in range(5):
                child.answer()
            time.sleep(0.03)  # so that the kill is more likely to strike in the middle of a write than between two
            child.process.kill()
            child.process.join()
        keys = [info.key for info in backend.list("killed/")]
        assert len(keys) >= 9
        assert [key for key in keys if not other_processes.is_whole(backend.get(key))] == []
        for key in keys:
            self.within(lambda key=key: backend.put(key, b"new"))  # type: ignore[misc]  # bound per key
        self.within(lambda: backend.create("killed/after", b"x"))
        self.within(lambda: backend.delete(keys))
        assert [info.key for info in backend.list()] == ["killed/after"]

    def _start(
        self, method: str, works: Sequence[tuple[Work, Sequence[object]]]
    ) -> AbstractContextManager[list[OtherProcess]]:
        return processes(method, works, self.patience)
