"""Rules for threads, and for several backends of one store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from runfolio.testing.conformance.stores import StoreRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.backend import Backend


def race(count: int, work: Callable[[int], bool]) -> list[int]:
    """Let threads do something at one instant; return which of them returned True."""
    barrier = threading.Barrier(count)
    winners: list[int] = []
    errors: list[BaseException] = []

    def run(who: int) -> None:
        barrier.wait()
        try:
            if work(who):
                winners.append(who)
        except BaseException as error:  # noqa: BLE001 (the top of a thread: raised in the caller below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(who,)) for who in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return winners


class ConcurrencyConformance(StoreRules):
    """Threads, and backends that were pickled, closed and used again. Processes: `ProcessConformance`."""

    def test_pickle(self, backend: Backend) -> None:
        """A pickled backend is the same store, also after it was used."""
        backend.put("k", b"x")
        copy = self.again(backend)
        assert copy.get("k") == b"x"
        copy.put("k", b"y")
        assert backend.get("k") == b"y"
        assert copy.url == backend.url

    def test_no_torn_reads(self, backend: Backend) -> None:
        """Readers see the old object or the new one, never a mixture or a part."""
        sizes = [10, 50_000, 200_000]
        backend.put("k", b"\x00" * sizes[0])
        torn: list[int] = []
        done = threading.Event()

        def read() -> bool:
            while not done.is_set():
                data = backend.get("k")
                if len(set(data)) != 1 or len(data) not in sizes:
                    torn.append(len(data))
            return True

        def write() -> bool:
            try:
                for at in range(60):
                    backend.put("k", bytes([at]) * sizes[at % 3])
            finally:
                done.set()
            return True

        race(4, lambda who: write() if who == 0 else read())
        assert torn == []

    def test_threads_write_side_by_side(self, backend: Backend) -> None:
        """Threads that write and delete in one folder do not disturb one another."""

        def work(who: int) -> bool:
            for at in range(20):
                backend.put(f"t/{at}/{who}", b"x")
                if at % 2:
                    backend.delete([f"t/{at}/{who}"])
            return True

        assert len(race(6, work)) == 6
        expected = sorted(f"t/{at}/{who}" for at in range(0, 20, 2) for who in range(6))
        assert [info.key for info in backend.list("t/")] == expected

    def test_close_and_use_again(self, backend: Backend) -> None:
        """Closing twice is harmless, and a closed backend can be used again, also by `with` and after `after_fork`."""
        backend.put("k", b"x")
        backend.close()
        backend.close()
        assert backend.get("k") == b"x"
        with backend as opened:
            assert opened.get("k") == b"x"
        backend.after_fork()
        assert backend.get("k") == b"x"

    def test_closing_one_of_two(self, backend: Backend) -> None:
        """Closing one backend of a store does not close another one."""
        backend.put("k", b"x")
        other = self.again(backend)
        assert other.get("k") == b"x"
        other.close()
        assert backend.get("k") == b"x"
        assert [info.key for info in backend.list()] == ["k"]
