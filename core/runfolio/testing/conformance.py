"""The kit that every backend has to pass: the rules of `runfolio.backend`, one test each.

Subclass `BackendConformance` in a test module and say how to make an empty store::

    class TestOurs(BackendConformance):
        @pytest.fixture
        def backend(self, tmp_path) -> Backend:
            return OurBackend(str(tmp_path))

        def again(self, backend: Backend) -> Backend:      # a second way to the same store
            return OurBackend(backend.url)

A rule that your storage cannot keep is overridden with `deviates`, which names the reason; shadowing one without it is
an error when the class is made. An ability that `Backend.capabilities` does not declare gets the negative test instead:
it must be refused.
"""

from __future__ import annotations

import pickle
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError, StorageError
from runfolio.store.opening import open_store

if TYPE_CHECKING:
    from runfolio.backend import Backend, ObjectInfo

KIT_VERSION: Final = 1
"""A stricter rule raises it."""
_F = TypeVar("_F", bound=Callable[..., object])
_KEYS: Final = (
    "a-b",
    "a/x",
    "a/y/z",
    "a/y0",
    "a0",
    "ab/x",
    "b/.hidden",
    "b/UPPER",
    "b/lower",
    "b/p%20q",
    "b/space in it",
    "b/tilde~",
    "b/ä",
    "b/漢字",
    "b/😀",
    "log/~fold.json",
)


def deviates(reason: str) -> Callable[[_F], _F]:
    """Mark a test of yours that replaces a rule of the kit, and say why."""

    def mark(function: _F) -> _F:
        function._deviates = reason  # type: ignore[attr-defined]  # noqa: SLF001 (our own mark)
        return function

    return mark


class _Rules:
    """Refuses subclasses that shadow a rule without saying so."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            rule = name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:])
            if rule and not getattr(value, "_deviates", ""):
                raise TypeError(f"{cls.__name__}.{name} replaces a rule of the kit: mark it with @deviates(reason=…)")


class ReadConformance(_Rules):
    """get and stat."""

    def test_missing_key(self, backend: Backend) -> None:
        """A missing key raises NotFoundError, for get and stat, in an empty store and beside other keys."""
        for _ in range(2):
            with pytest.raises(NotFoundError):
                backend.get("a/none")
            with pytest.raises(NotFoundError):
                backend.stat("a/none")
            backend.put("a/some", b"x")

    def test_a_folder_is_no_object(self, backend: Backend) -> None:
        """The folder of an object is not an object itself."""
        backend.put("a/b/c", b"x")
        for key in ("a", "a/b"):
            with pytest.raises(NotFoundError):
                backend.get(key)
            with pytest.raises(NotFoundError):
                backend.stat(key)

    def test_below_an_object_is_nothing(self, backend: Backend) -> None:
        """A key that continues an object's key is missing, not an error of another kind."""
        backend.put("a/b", b"x")
        with pytest.raises(NotFoundError):
            backend.get("a/b/c")

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, 3), (2, 5), (5, 5), (0, 0), (3, None), (None, 4), (8, 99), (10, 12), (99, 100), (-3, None), (-99, None)],
    )
    def test_range(self, backend: Backend, start: int | None, end: int | None) -> None:
        """A range is [start, end), cut to the object; a negative start counts from its end."""
        data = b"0123456789"
        backend.put("k", data)
        assert backend.get("k", start, end) == data[start:end]

    def test_stat(self, backend: Backend) -> None:
        """Stat tells size and, where the store keeps one, a time in UTC near the present."""
        backend.put("a/b", b"12345")
        info = backend.stat("a/b")
        assert (info.key, info.size) == ("a/b", 5)
        if backend.capabilities.store_time:
            assert info.modified is not None
            assert info.modified.utcoffset() == timedelta(0)
            assert abs(info.modified - datetime.now(UTC)) < timedelta(hours=24)


class WriteConformance(_Rules):
    """put, create and delete."""

    @pytest.mark.parametrize("key", _KEYS)
    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 300], ids=["empty", "byte", "76800 bytes"])
    def test_round_trip(self, backend: Backend, key: str, data: bytes) -> None:
        """What was put is what get returns, whatever the key and the bytes, also none."""
        backend.put(key, data)
        assert backend.get(key) == data
        assert backend.stat(key).size == len(data)
        assert [info.key for info in backend.list()] == [key]

    def test_put_replaces(self, backend: Backend) -> None:
        """Put replaces an object, also by a shorter one."""
        backend.put("k", b"long contents")
        backend.put("k", b"s")
        assert backend.get("k") == b"s"

    def test_create(self, backend: Backend) -> None:
        """Create stores an object once; afterwards it fails and leaves the object as it is."""
        for data in (b"", b"first"):
            key = f"a/{len(data)}"
            backend.create(key, data)
            for other in (b"", b"second"):
                with pytest.raises(AlreadyExistsError):
                    backend.create(key, other)
            assert backend.get(key) == data

    def test_create_after_delete(self, backend: Backend) -> None:
        """A deleted key can be created again."""
        backend.create("k", b"1")
        backend.delete(["k"])
        backend.create("k", b"2")
        assert backend.get("k") == b"2"

    def test_create_over_put(self, backend: Backend) -> None:
        """Create respects an object that was put, and put replaces one that was created."""
        backend.put("k", b"1")
        with pytest.raises(AlreadyExistsError):
            backend.create("k", b"2")
        backend.put("k", b"3")
        assert backend.get("k") == b"3"

    def test_delete(self, backend: Backend) -> None:
        """Delete removes the named objects and no others; absent ones, folders among them, are no error."""
        for key in ("a/b", "a/bc", "a/b0/c", "d"):
            backend.put(key, b"x")
        backend.delete(["a/b", "none", "none/either", "a/b0", "a", "a/b"])
        assert [info.key for info in backend.list()] == ["a/b0/c", "a/bc", "d"]
        backend.delete([])
        backend.delete(iter(["d"]))
        assert [info.key for info in backend.list()] == ["a/b0/c", "a/bc"]

    def test_delete_many(self, backend: Backend) -> None:
        """More keys than a cloud takes in one request can be deleted at once."""
        keys = [f"m/{at:04d}" for at in range(1203)]
        for key in keys:
            backend.put(key, b"")
        backend.delete(keys[:-1])
        assert [info.key for info in backend.list("m/")] == keys[-1:]

    def test_files(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """put_file and get_file move whole files, also empty ones, replace what is there, and tell their progress."""
        folder = tmp_path_factory.mktemp("files")
        for size in (0, 10, 20_000_001):
            source, target = folder / "source", folder / "target"
            source.write_bytes(b"\x07" * size)
            target.write_bytes(b"something longer that must go" * 3)
            sent: list[int] = []
            got: list[int] = []
            backend.put_file("a/file", source, sent.append)
            backend.get_file("a/file", target, got.append)
            assert target.read_bytes() == source.read_bytes() == backend.get("a/file")
            assert (sum(sent), sum(got)) == (size, size)
        with pytest.raises(NotFoundError):
            backend.get_file("a/none", folder / "other")

    def test_copy_from(self, backend: Backend) -> None:
        """A copy on the server's side is the object, replaces what is there, and a missing source is an error.

        Where the backend answers that it cannot, nothing is written.
        """
        for data in (b"", b"contents" * 1000):
            backend.put("a/from", data)
            backend.put("b/to", b"before")
            copied = backend.copy_from(backend, "a/from", "b/to")
            assert backend.get("b/to") == (data if copied else b"before")
        if copied:
            with pytest.raises(NotFoundError):
                backend.copy_from(backend, "a/none", "b/to")
            assert backend.get("b/to") == data

    def test_unreadable_file(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A local file that is not there is an error, and nothing appears in the store."""
        with pytest.raises((StorageError, FileNotFoundError)):
            backend.put_file("k", tmp_path_factory.mktemp("none") / "absent")
        assert [*backend.list()] == []


class ListConformance(_Rules):
    """list."""

    def test_order(self, backend: Backend) -> None:
        """Keys come in the order of their UTF-8 bytes, whatever folders they lie in, each once."""
        for key in reversed(_KEYS):
            backend.put(key, b"x")
        expected = sorted(_KEYS, key=lambda key: key.encode())
        assert [info.key for info in backend.list()] == expected

    @pytest.mark.parametrize("prefix", ["", "a/", "a/y/", "ab/", "b/", "none/", "a/none/"])
    def test_prefix(self, backend: Backend, prefix: str) -> None:
        """A prefix names a folder: `a/` matches neither `ab/x` nor `a-b`. Nothing there is no error."""
        assert [*backend.list(prefix)] == []
        for key in _KEYS:
            backend.put(key, b"x")
        expected = [key for key in sorted(_KEYS, key=str.encode) if key.startswith(prefix)]
        assert [info.key for info in backend.list(prefix)] == expected

    @pytest.mark.parametrize(
        "start_after", ["", "a", "a-b", "a/", "a/x", "a/y", "a/y/", "a/y/z", "a0", "b/ä", "zzz", "log/"]
    )
    @pytest.mark.parametrize("limit", [None, 0, 1, 2, 5, 99])
    def test_start_after_and_limit(self, backend: Backend, start_after: str, limit: int | None) -> None:
        """Only keys greater than `start_after` come, and at most `limit` of them, with and without a prefix."""
        for key in _KEYS:
            backend.put(key, b"x")
        for prefix in ("", "a/", "b/"):
            expected = [key for key in sorted(_KEYS, key=str.encode) if key.startswith(prefix) and key > start_after]
            found = backend.list(prefix, start_after=start_after, limit=limit)
            assert [info.key for info in found] == expected[:limit]

    def test_sees_at_once(self, backend: Backend) -> None:
        """What was put is listed at once with its size, and what was deleted is not."""
        backend.put("a/1", b"12")
        assert [(info.key, info.size) for info in backend.list("a/")] == [("a/1", 2)]
        backend.put("a/1", b"123")
        backend.create("a/2", b"")
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

    def test_same_information(self, backend: Backend) -> None:
        """A listing says of an object what stat says."""
        backend.put("a/b", b"123")
        listed: list[ObjectInfo] = [*backend.list("a/")]
        assert listed == [backend.stat("a/b")]


class ConcurrencyConformance(_Rules):
    """Threads, several backends of one store, pickling, forking."""

    def again(self, backend: Backend) -> Backend:
        """Return a second backend of the same store: another process would have one. By default a pickled copy."""
        copy: Backend = pickle.loads(pickle.dumps(backend))  # noqa: S301 (just made)
        return copy

    def test_pickle(self, backend: Backend) -> None:
        """A pickled backend is the same store."""
        backend.put("k", b"x")
        assert self.again(backend).get("k") == b"x"

    def test_one_creator_wins(self, backend: Backend) -> None:
        """Of many threads that create one key at one instant exactly one succeeds, and its bytes are stored."""
        if not backend.capabilities.conditional_create:
            with pytest.raises(ConfigurationError):  # then it must not become a shared store
                open_store(backend, create=True)
            return
        for at in range(10):
            size = 0 if at % 3 == 0 else 70_000 * (at % 2) + 1

            def create(who: int, at: int = at, size: int = size) -> bool:
                return self._try_create(self.again(backend), f"race/{at}", bytes([who]) * size)

            winners = _race(8, create)
            assert len(winners) == 1
            assert backend.get(f"race/{at}") == bytes([winners[0]]) * size

    def _try_create(self, backend: Backend, key: str, data: bytes) -> bool:
        try:
            backend.create(key, data)
        except AlreadyExistsError:
            return False
        return True

    def test_no_torn_reads(self, backend: Backend) -> None:
        """Readers see the old object or the new one, never a mixture or a part."""
        sizes = [10, 50_000, 200_000]
        backend.put("k", b"\x00" * sizes[0])
        torn: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                data = backend.get("k")
                if len(set(data)) != 1 or len(data) not in sizes:
                    torn.append(len(data))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for thread in readers:
            thread.start()
        for at in range(60):
            backend.put("k", bytes([at]) * sizes[at % 3])
        done.set()
        for thread in readers:
            thread.join()
        assert torn == []

    def test_threads_write_side_by_side(self, backend: Backend) -> None:
        """Threads that write and delete in one folder do not disturb one another."""

        def work(who: int) -> bool:
            for at in range(20):
                backend.put(f"t/{at}/{who}", b"x")
                if at % 2:
                    backend.delete([f"t/{at}/{who}"])
            return True

        assert len(_race(6, work)) == 6
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


class BackendConformance(ReadConformance, WriteConformance, ListConformance, ConcurrencyConformance):
    """All rules. Subclasses bring the fixture `backend`, an empty store each time."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return an empty store."""
        raise NotImplementedError("say how to make an empty store: override the fixture `backend`")

    def test_lazy(self, backend: Backend) -> None:
        """A backend describes itself without a request: name, URL without credentials, capabilities."""
        assert backend.name
        assert "://" in backend.url
        assert "@" not in backend.url.split("/", 3)[2]
        assert backend.capabilities is not None
        assert [*backend.list()] == []

    def test_against_a_dict(self, backend: Backend) -> None:
        """Random operations leave the store as they leave a dict."""
        chance, model = random.Random(1), dict[str, bytes]()
        keys = [f"{one}{two}" for one in ("a/", "a-/", "b/c/", "") for two in ("x", "y", "z-1")]
        for _ in range(400):
            key, data = chance.choice(keys), bytes(chance.randrange(5))
            action = chance.randrange(4)
            if action == 0:
                backend.put(key, data)
                model[key] = data
            elif action == 1:
                if self._try_create(backend, key, data):
                    assert key not in model
                    model[key] = data
                else:
                    assert key in model
            elif action == 2:
                backend.delete([key])
                model.pop(key, None)
            else:
                prefix, after = chance.choice(["", "a/", "b/"]), chance.choice(keys)
                expected = sorted(one for one in model if one.startswith(prefix) and one > after)
                assert [info.key for info in backend.list(prefix, start_after=after)] == expected
        assert {info.key: backend.get(info.key) for info in backend.list()} == model


def _race(count: int, work: Callable[[int], bool]) -> list[int]:
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
