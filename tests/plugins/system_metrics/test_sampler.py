from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping

import pytest

from runfolio_plugins.system_metrics.counters import Counters
from runfolio_plugins.system_metrics.sampler import Sampler


class Machine:
    """Gives readings that are a second apart, whatever time it is."""

    def __init__(self, *, breaks_after: int = 10**9) -> None:
        self.readings = 0
        self.breaks_after = breaks_after

    def read(self) -> Counters:
        self.readings += 1
        if self.readings > self.breaks_after:
            raise OSError("unplugged")
        return Counters(clock=float(self.readings), disk_read=self.readings * 10)


class Gpus:
    closed = False

    def read(self) -> dict[str, float | int]:
        return {"system/gpu0_power_watts": 5}

    def close(self) -> None:
        self.closed = True


class Log:
    """Keeps samples, and says when there are enough."""

    def __init__(self, enough: int) -> None:
        self.samples: list[Mapping[str, float | int]] = []
        self.steps: list[int] = []
        self.enough = enough
        self.reached = threading.Event()

    def __call__(self, metrics: Mapping[str, float | int], step: int) -> None:
        self.samples.append(metrics)
        self.steps.append(step)
        if len(self.samples) >= self.enough:
            self.reached.set()


def test_samples_come_until_it_is_stopped() -> None:
    log, gpus = Log(enough=3), Gpus()
    sampler = Sampler(log, lambda: (Machine(), gpus), interval=0.001)
    sampler.start()
    assert log.reached.wait(30)
    sampler.stop()
    count = len(log.samples)
    assert threading.active_count() == sum(thread.name != "runfolio-system-metrics" for thread in threading.enumerate())
    assert log.samples[0] == {"system/disk_read_bytes_per_second": 10.0, "system/gpu0_power_watts": 5}
    assert gpus.closed
    sampler.stop()
    assert len(log.samples) == count
    assert log.steps == sorted(log.steps)


def test_a_run_shorter_than_the_interval_gets_one_sample() -> None:
    log = Log(enough=1)
    sampler = Sampler(log, lambda: (Machine(), None), interval=3600)
    sampler.start()
    sampler.stop()
    assert len(log.samples) == 1


def test_steps_go_on_where_an_earlier_attempt_was() -> None:
    log = Log(enough=1)
    sampler = Sampler(log, lambda: (Machine(), None), interval=3600, age=-1e9)
    sampler.start()
    sampler.stop()
    later = Log(enough=1)
    again = Sampler(later, lambda: (Machine(), None), interval=3600, age=0)
    again.start()
    again.stop()
    assert later.steps[0] - log.steps[0] == pytest.approx(1e9, abs=60)


def test_a_source_that_breaks_is_said_once_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(enough=1)
    sampler = Sampler(log, lambda: (Machine(breaks_after=2), None), interval=0.001)
    with caplog.at_level(logging.WARNING):
        sampler.start()
        sampler._thread.join(30)
        sampler.stop()
    assert len(log.samples) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_machine_that_cannot_be_read_has_no_samples() -> None:
    log = Log(enough=1)
    sampler = Sampler(log, lambda: None, interval=0.001)
    sampler.start()
    sampler.stop()
    assert log.samples == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # that there are threads is what is tested
def test_stopping_in_a_forked_child_touches_nothing() -> None:
    if sys.platform == "win32":
        pytest.skip("platform: forks are POSIX")
    else:
        log = Log(enough=1)
        sampler = Sampler(log, lambda: (Machine(), None), interval=3600)
        sampler.start()
        pid = os.fork()
        if pid == 0:
            sampler.stop()
            os._exit(len(log.samples))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        sampler.stop()
        assert len(log.samples) == 1
