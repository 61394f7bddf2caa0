"""Rules of `get` and `stat`."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.errors import NotFoundError
from runfolio.testing.conformance.abilities import needs, shows_no_times
from runfolio.testing.conformance.stores import StoreRules

if TYPE_CHECKING:
    from runfolio.backend import Backend

_RANGES: Final = [
    (0, 3), (2, 5), (5, 5), (0, 0), (3, None), (None, 4), (8, 99), (10, 12), (99, 100), (-3, None), (-99, None)
]  # fmt: skip


def _spelt(part: object) -> str:
    return "" if part is None else str(part)


class ReadConformance(StoreRules):
    """get and stat."""

    def test_missing_key(self, backend: Backend) -> None:
        """A missing key raises NotFoundError, for get and stat, in an empty store and beside other keys."""
        for _ in range(2):
            with pytest.raises(NotFoundError):
                backend.get("a/none")
            with pytest.raises(NotFoundError):
                backend.get("a/none", 0, 1)
            with pytest.raises(NotFoundError):
                backend.get("a/none", -1)
            with pytest.raises(NotFoundError):
                backend.stat("a/none")
            self.raw_put(backend, "a/some", b"x")

    def test_a_folder_is_no_object(self, backend: Backend) -> None:
        """The folder of an object is not an object itself."""
        self.raw_put(backend, "a/b/c", b"x")
        for key in ("a", "a/b"):
            with pytest.raises(NotFoundError):
                backend.get(key)
            with pytest.raises(NotFoundError):
                backend.stat(key)

    def test_below_an_object_is_nothing(self, backend: Backend) -> None:
        """A key that continues an object's key is missing, not an error of another kind."""
        self.raw_put(backend, "a/b", b"x")
        with pytest.raises(NotFoundError):
            backend.get("a/b/c")

    @pytest.mark.parametrize(
        ("start", "end"), [pytest.param(*one, id=f"[{_spelt(one[0])}:{_spelt(one[1])}]") for one in _RANGES]
    )
    def test_range(self, backend: Backend, start: int | None, end: int | None) -> None:
        """A range is [start, end), cut to the object; a negative start counts from its end."""
        data = b"0123456789"
        self.raw_put(backend, "k", data)
        assert backend.get("k", start, end) == data[start:end]

    def test_range_of_nothing(self, backend: Backend) -> None:
        """Any range of an empty object is empty, not an error."""
        self.raw_put(backend, "k", b"")
        assert [backend.get("k"), backend.get("k", 0, 5), backend.get("k", 3), backend.get("k", -4)] == [b""] * 4

    def test_ranges_of_a_large_object(self, backend: Backend) -> None:
        """Ranges are right wherever they begin and end in an object of several megabytes."""
        data = bytes(range(251)) * 20_000
        self.raw_put(backend, "k", data)
        edges = [0, 1, 65_535, 1 << 20, (1 << 20) + 1, 4 << 20, len(data) - 1, len(data)]
        for start, end in itertools.pairwise(edges):
            assert backend.get("k", start, end) == data[start:end]
        assert backend.get("k", -70_000) == data[-70_000:]
        assert backend.get("k") == data

    def test_stat(self, backend: Backend) -> None:
        """Stat tells the key and the size."""
        self.raw_put(backend, "a/b", b"12345")
        info = backend.stat("a/b")
        assert (info.key, info.size) == ("a/b", 5)

    @needs("store_time", otherwise=shows_no_times)
    def test_store_time(self, backend: Backend) -> None:
        """A store that declares times shows when an object was written: in UTC, near the present, never going back."""
        times = []
        for data in (b"1", b"22"):
            backend.put("a/b", data)
            modified = backend.stat("a/b").modified
            assert modified is not None
            assert modified.utcoffset() == timedelta(0)
            assert abs(modified - datetime.now(UTC)) < timedelta(hours=24)
            times.append(modified)
        assert times == sorted(times)

    @needs("store_time", otherwise=shows_no_times)
    def test_clock(self, backend: Backend) -> None:
        """What `now` shows, if anything, is the clock that the times of objects come from."""
        backend.put("k", b"x")
        now, modified = backend.now(), backend.stat("k").modified
        assert modified is not None
        assert now is None or abs(now - modified) < timedelta(minutes=2)
