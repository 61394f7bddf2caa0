"""The thread that reads the machine every few seconds and logs what it finds."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from runfolio_plugins.system_metrics.counters import Counters, metrics

if TYPE_CHECKING:
    from runfolio_plugins.system_metrics.nvidia import GpuReader

_log: Final = logging.getLogger(__name__)
_STOP_SECONDS: Final = 5.0
"""How long the end of a run waits for a reading under way: nvidia-smi may hang, and the thread is a daemon."""
_SHORTEST: Final = 0.05
"""Seconds below which a rate says nothing."""


class Source(Protocol):
    """Something that reads the machine."""

    def read(self) -> Counters:
        """Read everything that can be read now."""
        ...


class Sampler:
    """Logs one sample each interval, and a last one when stopped, so that a short run has one too.

    Args:
        log: called with the metrics of a sample and its step. It raises when the run has ended.
        find_readers: finds what reads the machine and its GPUs. Called in the sampler's thread, so that no training
            waits for it.
        interval: seconds between samples.
        age: seconds since the run has started: steps are whole seconds of the run's age, also after it was resumed.
    """

    def __init__(
        self,
        log: Callable[[Mapping[str, float | int], int], object],
        find_readers: Callable[[], tuple[Source, GpuReader | None] | None],
        *,
        interval: float = 15.0,
        age: float = 0.0,
    ) -> None:
        self._log = log
        self._find_readers = find_readers
        self._interval = interval
        self._born = time.monotonic() - age
        self._stopping = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="runfolio-system-metrics", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end the thread. In a process forked meanwhile there is none, and nothing happens."""
        if os.getpid() != self._pid or self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            readers = self._find_readers()
            if readers is not None:
                self._sample_until_stopped(*readers)
        except Exception:  # noqa: BLE001 (the top of a thread: measuring must not disturb what is measured)
            if not self._stopping.is_set():
                _log.warning("System metrics are no longer sampled for this run", exc_info=True)

    def _sample_until_stopped(self, source: Source, gpus: GpuReader | None) -> None:
        before = source.read()
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(self._interval)
            now = source.read()
            if now.clock - before.clock < _SHORTEST:
                continue
            found = metrics(before, now)
            if gpus is not None:
                found |= gpus.read()
            self._log(found, round(now.clock - self._born))
            before = now
        if gpus is not None:
            gpus.close()
