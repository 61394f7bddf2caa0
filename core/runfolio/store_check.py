"""Trying what a store guarantees: each probe writes below one random prefix and takes it away again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.errors import AlreadyExistsError, NotFoundError, RunfolioError
from runfolio.ids import new_token

if TYPE_CHECKING:
    from runfolio.backend import Backend

_RACERS: Final = 8
_ROUNDS: Final = 5
_SKEW: Final = 60.0
_UNORDERED: Final = (
    "nothing is lost: only the order within a folder is relied on. But where the network breaks a listing of repair, "
    "gc or copy, it fails: run it again. Storage that lists in the order of bytes avoids that"
)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One thing a store must do, and whether it does.

    Attributes:
        name: the guarantee.
        ok: whether the probe held.
        required: whether a shared store is unusable without it.
        detail: what was seen.
        remedy: what to do when it does not hold.
    """

    name: str
    ok: bool
    required: bool
    detail: str
    remedy: str


@dataclass(slots=True)
class CheckReport:
    """What `History.check` found.

    Attributes:
        url: the store.
        guarantees: one line each.
        single_writer: the user promised that one process at a time writes, so exclusive creation is not needed.
    """

    url: str
    guarantees: list[Guarantee] = field(default_factory=list)
    single_writer: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything holds that the store needs for what it is used for."""
        return all(one.ok for one in self.guarantees if one.required)

    def lines(self) -> list[str]:
        """The report as text, one guarantee a line."""
        return [
            f"{'ok  ' if one.ok else 'FAIL'} {one.name}: {one.detail}{'' if one.ok else f' ({one.remedy})'}"
            for one in self.guarantees
        ]


def check_store(
    backend: Backend, clock: Callable[[], float] = time.time, *, single_writer: bool = False
) -> CheckReport:
    """Try a store. Objects are written below ``check/<random>/`` and deleted at the end.

    Args:
        backend: where it lies.
        clock: this machine's.
        single_writer: exclusive creation is tried, but not needed.
    """
    prefix = f"{layout.CHECK}{new_token()}/"
    report = CheckReport(backend.url, single_writer=single_writer)
    probes: tuple[tuple[str, bool, str, Callable[[Backend, str], str]], ...] = (
        (
            "write, then read",
            True,
            "check the credentials: reading and writing below the prefix must be allowed",
            _read_after_write,
        ),
        ("empty objects", True, "this storage loses empty objects: use another", _empty),
        (
            "create only if absent",
            not single_writer,
            "this storage accepts the condition and ignores it: set single_writer = true, or use another",
            _create_twice,
        ),
        ("create exactly once in a race", not single_writer, "set single_writer = true, or use another storage", _race),
        (
            "list what was written, in order",
            True,
            "this storage lists late: use one with strongly consistent listing",
            _list_after_write,
        ),
        (
            "list folders in order",
            False,
            _UNORDERED,
            _folder_order,
        ),
        ("read a range", True, "this storage ignores ranges: metrics could not be read", _ranges),
        ("replace as a whole", True, "use a storage that replaces objects atomically", _replace),
        ("delete", False, "runs cannot be deleted and leftovers stay; allow deleting, or accept that", _delete),
        (
            "clock",
            False,
            "liveness of runs is told by the store's clock only; set this machine's clock",
            lambda b, p: _clock(b, p, clock),
        ),
    )
    written = False
    for name, required, remedy, probe in probes:
        try:
            detail = probe(backend, prefix)
        except (RunfolioError, _Broken) as error:
            report.guarantees.append(Guarantee(name, ok=False, required=required, detail=str(error), remedy=remedy))
            if not written:
                break  # nothing else can be tried where nothing can be written
        else:
            written = True
            report.guarantees.append(Guarantee(name, ok=True, required=required, detail=detail, remedy=remedy))
    _clean(backend, prefix)
    return report


class _Broken(Exception):  # noqa: N818 (the verdict of a probe, which never leaves this module)
    """A probe saw what must not be."""


def _expect(holds: bool, seen: str) -> None:
    if not holds:
        raise _Broken(seen)


def _read_after_write(backend: Backend, prefix: str) -> str:
    backend.put(f"{prefix}a", b"one")
    _expect(backend.get(f"{prefix}a") == b"one", "other bytes came back")
    return "the bytes came back at once"


def _empty(backend: Backend, prefix: str) -> str:
    backend.put(f"{prefix}empty", b"")
    _expect(backend.get(f"{prefix}empty") == b"", "an empty object came back with contents")
    _expect(backend.stat(f"{prefix}empty").size == 0, "an empty object has a size")
    return "an empty object came back"


def _create_twice(backend: Backend, prefix: str) -> str:
    for name, first, second in (("small", b"first", b"second"), ("void", b"", b"second"), ("late", b"first", b"")):
        key = f"{prefix}create-{name}"
        backend.create(key, first)
        try:
            backend.create(key, second)
        except AlreadyExistsError:
            _expect(backend.get(key) == first, "the refused create changed the object")
        else:
            raise _Broken(f"a second create of the same key succeeded ({len(first)} and {len(second)} bytes)")
    return "the second create was refused, the object untouched"


def _race(backend: Backend, prefix: str) -> str:
    for number in range(_ROUNDS):
        key = f"{prefix}race-{number}"
        won: list[bytes] = []
        lost: list[BaseException] = []
        barrier = threading.Barrier(_RACERS)

        def racer(
            name: bytes,
            key: str = key,
            won: list[bytes] = won,
            lost: list[BaseException] = lost,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait()
            try:
                backend.create(key, name)
            except AlreadyExistsError:
                return
            except RunfolioError as error:
                lost.append(error)
            else:
                won.append(name)

        threads = [threading.Thread(target=racer, args=(str(place).encode(),)) for place in range(_RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = backend.get(key)
        _expect(len(won) <= 1, f"{len(won)} of {_RACERS} threads created the same object")
        _expect(not won or won == [stored], "the object is not the winner's")
        _expect(bool(won) or bool(lost), "nobody won and nobody failed")
    return f"one of {_RACERS} threads won, {_ROUNDS} times"


def _list_after_write(backend: Backend, prefix: str) -> str:
    keys = [f"{prefix}list/{name}" for name in ("B", "a", "a-b", "a.b", "c/d", "é")]
    for key in keys:
        backend.put(key, b"x")
    seen = [info.key for info in backend.list(f"{prefix}list/")]
    _expect(sorted(seen) == sorted(keys), f"{len(seen)} of {len(keys)} objects were listed")
    _expect(seen == sorted(keys, key=lambda key: key.encode()), "they were listed out of order")
    rest = [info.key for info in backend.list(f"{prefix}list/", start_after=seen[2], limit=2)]
    _expect(rest == seen[3:5], "listing from a key onwards gives other objects")
    return f"{len(keys)} objects, at once and in order"


def _folder_order(backend: Backend, prefix: str) -> str:
    folder = f"{prefix}order/"
    first, second = f"{folder}a-b", f"{folder}a/b"
    for key in (first, second):
        backend.put(key, b"x")
    # One at a time: within a page, a backend may have put them in order.
    (seen,) = [info.key for info in backend.list(folder, limit=1)]
    _expect(seen == first, "a/b comes before a-b: one folder after the other, not by the bytes of the keys")
    rest = [info.key for info in backend.list(folder, start_after=first)]
    _expect(rest == [second], "listing from a-b onwards does not give a/b")
    return "a-b comes before a/b, as their bytes say"


def _ranges(backend: Backend, prefix: str) -> str:
    backend.put(f"{prefix}range", b"0123456789")
    _expect(backend.get(f"{prefix}range", 2, 5) == b"234", "a range from the middle is wrong")
    _expect(backend.get(f"{prefix}range", -3) == b"789", "a range from the end is wrong")
    _expect(backend.get(f"{prefix}range", 8, 99) == b"89", "a range beyond the end is wrong")
    return "from the middle, from the end, beyond the end"


def _replace(backend: Backend, prefix: str) -> str:
    for contents in (b"x" * 65536, b"y" * 10):
        backend.put(f"{prefix}replace", contents)
        _expect(backend.get(f"{prefix}replace") == contents, "the former contents came back")
    return "the new contents came back at once"


def _delete(backend: Backend, prefix: str) -> str:
    backend.put(f"{prefix}gone", b"x")
    backend.delete([f"{prefix}gone", f"{prefix}never"])
    try:
        backend.get(f"{prefix}gone")
    except NotFoundError:
        return "gone at once; an absent key is no error"
    raise _Broken("a deleted object can still be read")


def _clock(backend: Backend, prefix: str, clock: Callable[[], float]) -> str:
    before = clock()
    backend.put(f"{prefix}clock", b"x")
    modified = backend.stat(f"{prefix}clock").modified
    if modified is None:
        raise _Broken("the storage keeps no modification times: runs that died cannot be told from live ones")
    skew = modified.timestamp() - before
    _expect(
        abs(skew) <= _SKEW,
        f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the store's",
    )
    return f"within {abs(skew):.1f} s of this machine's"


def _clean(backend: Backend, prefix: str) -> None:
    try:
        backend.delete([info.key for info in backend.list(prefix)])
    except RunfolioError:
        return  # without the right to delete, the probes stay: a few hundred bytes below check/
