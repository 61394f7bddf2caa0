from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from runfolio_plugins.system_metrics.counters import PREFIX, Counters, metrics

sizes = st.none() | st.integers(0, 2**60)
times = st.none() | st.floats(0, 1e9)
readings = st.builds(
    Counters,
    clock=st.floats(0, 1e9),
    cpu_busy=times,
    cpu_total=times,
    memory_used=sizes,
    memory_total=sizes,
    disk_used=sizes,
    disk_total=sizes,
    disk_read=sizes,
    disk_written=sizes,
    network_received=sizes,
    network_sent=sizes,
    processes=st.none() | st.integers(1, 10_000),
    processes_rss=sizes,
    largest_rss=sizes,
    processes_cpu=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1e6))).map(tuple),
)


@given(readings, readings)
def test_whatever_was_read_gives_finite_metrics_that_are_not_negative(before: Counters, now: Counters) -> None:
    for name, value in metrics(before, now).items():
        assert name.startswith(PREFIX)
        assert math.isfinite(value)
        assert value >= 0
    assert metrics(before, now).get("system/cpu_percent", 0) <= 100


def test_figures_are_those_of_the_time_between_two_readings() -> None:
    before = Counters(
        clock=100.0,
        cpu_busy=50.0,
        cpu_total=400.0,
        disk_read=1_000,
        disk_written=5_000,
        network_received=10,
        network_sent=20,
        processes_cpu=((7, 1.0), (8, 4.0)),
    )
    now = Counters(
        clock=110.0,
        cpu_busy=60.0,
        cpu_total=440.0,
        memory_used=3_000,
        memory_total=4_000,
        disk_used=1,
        disk_total=8,
        disk_read=21_000,
        disk_written=5_000,
        network_received=1_010,
        network_sent=20,
        processes=2,
        processes_rss=900,
        largest_rss=600,
        processes_cpu=((7, 6.0), (9, 5.0)),  # 8 has ended, 9 is new
    )
    assert metrics(before, now) == {
        "system/cpu_percent": 25.0,
        "system/memory_used_bytes": 3_000,
        "system/memory_percent": 75.0,
        "system/disk_used_bytes": 1,
        "system/disk_percent": 12.5,
        "system/disk_read_bytes_per_second": 2_000.0,
        "system/disk_written_bytes_per_second": 0.0,
        "system/network_received_bytes_per_second": 100.0,
        "system/network_sent_bytes_per_second": 0.0,
        "system/process_count": 2,
        "system/process_rss_bytes": 900,
        "system/process_largest_rss_bytes": 600,
        "system/process_cpu_percent": 100.0,
    }


def test_what_could_not_be_read_is_left_out() -> None:
    assert metrics(Counters(clock=0.0), Counters(clock=15.0)) == {}


def test_a_device_that_was_taken_away_gives_no_rate() -> None:
    found = metrics(
        Counters(clock=0.0, disk_read=100, network_sent=1), Counters(clock=1.0, disk_read=10, network_sent=3)
    )
    assert found == {"system/network_sent_bytes_per_second": 2.0}
