"""Samples CPU, memory, disk, network, the run's processes and NVIDIA GPUs: metrics named ``system/…``.

On unless `start_run(system_metrics=False)` or the setting ``system_metrics.enabled`` turns it off;
``system_metrics.interval`` says how often. Only the main writer of a run samples, so that a machine is measured once,
whatever number of processes writes to the run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from runfolio.hookspecs import hookimpl
from runfolio.ids import parse_run_id

if TYPE_CHECKING:
    from runfolio.active_run import ActiveRun
    from runfolio_plugins.system_metrics.sampler import Sampler

_samplers: Final[dict[str, Sampler]] = {}
"""By writer key, which is new for every run, attempt and forked child."""


@hookimpl
def runfolio_run_started(run: ActiveRun) -> None:
    """Start sampling."""
    if not run.system_metrics or not run.is_main or run.settings.mode == "disabled" or run.writer in _samplers:
        return
    # Not at the top: plugins are loaded with every history, also where nothing is sampled.
    from runfolio_plugins.system_metrics.readers import find_readers  # noqa: PLC0415 (see above)
    from runfolio_plugins.system_metrics.sampler import Sampler  # noqa: PLC0415 (see above)

    sampler = Sampler(
        lambda metrics, step: run.log(metrics, step=step),
        find_readers,
        interval=run.settings.system_metrics_interval,
        age=max(0.0, time.time() - parse_run_id(run.id).milliseconds / 1000),
    )
    _samplers[run.writer] = sampler
    sampler.start()


@hookimpl
def runfolio_run_ending(run: ActiveRun) -> None:
    """Take the last sample."""
    sampler = _samplers.pop(run.writer, None)
    if sampler is not None:
        sampler.stop()
