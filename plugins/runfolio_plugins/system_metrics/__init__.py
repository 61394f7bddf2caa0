"""Samples CPU, memory, disk, network, the run's processes and NVIDIA GPUs while a run goes on: metrics named ``system/…``.

On by default for tracked runs, and where `start_run(system_metrics=True)` or the setting ``system_metrics`` asks for it.
Only the main writer of a run samples, so that a machine is measured once, whatever number of processes writes to the run.
"""

from __future__ import annotations
