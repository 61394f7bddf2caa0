"""Work for other threads while the interpreter ends, which is when the run of a plain script is stored.

The pools of `concurrent.futures` take no work at that time. asyncio and the clients of the clouds use one to look up
the address of a host, and to read ``.netrc``; we use one to read files.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar, final
from weakref import WeakSet

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")
_lasting: Final[WeakSet[asyncio.AbstractEventLoop]] = WeakSet()


@final
class LastingPool(ThreadPoolExecutor):
    """A pool of threads which does work in the thread that brings it, at once, when no other takes it any more."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:  # noqa: D102 (docstring inherited)
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            done: Future[_T] = Future()
            try:
                done.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (raised where the result is asked for)
                done.set_exception(error)
            return done


def last_through_exit(loop: asyncio.AbstractEventLoop) -> None:
    """Give an event loop such a pool, with which what is under way when the interpreter ends comes to its end."""
    if loop not in _lasting:
        loop.set_default_executor(LastingPool(thread_name_prefix="asyncio"))
        _lasting.add(loop)
