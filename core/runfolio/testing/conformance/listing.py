"""Rules of `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio.testing.conformance.stores import KEYS, StoreRules

if TYPE_CHECKING:
    from runfolio.backend import Backend


class ListConformance(StoreRules):
    """list."""

    def test_order(self, backend: Backend) -> None:
        """Keys come in the order of their UTF-8 bytes, whatever folders they lie in, each once."""
        for key in reversed(KEYS):
            self.raw_put(backend, key, b"x")
        assert [info.key for info in backend.list()] == sorted(KEYS, key=str.encode)

    @pytest.mark.parametrize(
        "prefix", ["", "a/", "a/y/", "ab/", "b/", "none/", "a/none/"], ids=lambda prefix: prefix or "everything"
    )
    def test_prefix(self, backend: Backend, prefix: str) -> None:
        """A prefix names a folder: `a/` matches neither `ab/x` nor `a-b`. Nothing there is no error."""
        assert [*backend.list(prefix)] == []
        for key in KEYS:
            self.raw_put(backend, key, b"x")
        expected = [key for key in sorted(KEYS, key=str.encode) if key.startswith(prefix)]
        assert [info.key for info in backend.list(prefix)] == expected

    @pytest.mark.parametrize(
        "start_after",
        ["", "a", "a-b", "a/", "a/x", "a/y", "a/y/", "a/y/z", "a0", "b/ä", "zzz", "log/"],
        ids=lambda key: f"after {key or 'nothing'}",
    )
    @pytest.mark.parametrize("limit", [None, 0, 1, 2, 5, 99], ids=lambda limit: f"limit {limit}")
    def test_start_after_and_limit(self, backend: Backend, start_after: str, limit: int | None) -> None:
        """Only keys greater than `start_after` come, and at most `limit` of them, with and without a prefix."""
        for key in KEYS:
            self.raw_put(backend, key, b"x")
        for prefix in ("", "a/", "b/"):
            expected = [key for key in sorted(KEYS, key=str.encode) if key.startswith(prefix) and key > start_after]
            found = backend.list(prefix, start_after=start_after, limit=limit)
            assert [info.key for info in found] == expected[:limit]

    def test_sees_at_once(self, backend: Backend) -> None:
        """What was put is listed at once with its size, and what was deleted is not."""
        backend.put("a/1", b"12")
        assert [(info.key, info.size) for info in backend.list("a/")] == [("a/1", 2)]
        backend.put("a/1", b"123")
        backend.put("a/2", b"")
        assert [(info.key, info.size) for info in backend.list("a/")] == [("a/1", 3), ("a/2", 0)]
        backend.delete(["a/1"])
        assert [info.key for info in backend.list("a/")] == ["a/2"]

    def test_many(self, backend: Backend) -> None:
        """A listing goes on over as many pages as it takes."""
        keys = [f"p/{at:05d}" for at in range(2100)]
        for key in keys:
            backend.put(key, b"")
        assert [info.key for info in backend.list("p/")] == keys
        assert [info.key for info in backend.list("p/", start_after=keys[999], limit=1001)] == keys[1000:2001]

    def test_changes_while_listing(self, backend: Backend) -> None:
        """Objects that exist throughout are listed once, whatever comes and goes meanwhile."""
        for at in range(50):
            backend.put(f"s/{at:03d}", b"")
        seen: list[str] = []
        for info in backend.list("s/"):
            seen.append(info.key)
            backend.put(f"s/{len(seen):03d}.new", b"")
            backend.delete([f"s/{len(seen) - 1:03d}.new"])
        assert [key for key in seen if not key.endswith(".new")] == [f"s/{at:03d}" for at in range(50)]
        assert len(seen) == len(set(seen))

    def test_left_early(self, backend: Backend) -> None:
        """A listing that its reader leaves early keeps nothing from going on: no lock, no transaction."""
        for at in range(5):
            backend.put(f"s/{at}", b"")
        begun = backend.list("s/")
        assert next(begun).key == "s/0"
        backend.put("s/9", b"x")
        backend.delete(["s/0"])
        assert [info.key for info in backend.list("s/", start_after="s/3")] == ["s/4", "s/9"]

    def test_same_information(self, backend: Backend) -> None:
        """A listing says of an object what stat says."""
        backend.put("a/b", b"123")
        assert [*backend.list("a/")] == [backend.stat("a/b")]
