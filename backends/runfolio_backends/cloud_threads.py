"""Threads for what blocks the event loop: looking up names, reading certificates and files.

The pools of `concurrent.futures` take no work while the interpreter ends. That is when many runs end: a connection that
is opened then would fail, since asyncio looks up names in such a pool.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_T = TypeVar("_T")
_P = ParamSpec("_P")
_served: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


class WillingThreads(ThreadPoolExecutor):
    """A pool that does the work in the thread that asks, once no other thread may."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Do something in a thread of the pool, or here."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            done: Future[_T] = Future()
            try:
                done.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (raised by whoever asks for the result)
                done.set_exception(error)
            return done


def serve(loop: AbstractEventLoop) -> None:
    """Give an event loop such threads where it has none yet, and in any case once its own take no work any more."""
    if loop in _served:
        return
    # asyncio has no other way to tell. Whoever gave the loop threads of their own keeps them while they work.
    if getattr(loop, "_default_executor", None) is None or not threading.main_thread().is_alive():
        loop.set_default_executor(WillingThreads(thread_name_prefix="runfolio-lookup"))
        _served.add(loop)
