"""Every local budget in one command: ``python benchmarks`` (or ``python -m benchmarks`` from the root).

Ratios are taken within one run. The comparison with other trackers makes environments of its own and takes longer:
``python benchmarks/comparison/run.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUBJECTS = (
    "start_up",
    "request_counts",
    "log_hot_path",
    "rows_to_parquet",
    "source_snapshots",
    "index_scale",
    "many_processes",
)


def main() -> int:
    """Run one subject after the other, each in a process of its own; 1 when one of them could not be measured."""
    failed = []
    for subject in SUBJECTS:
        print(f"== {subject}", flush=True)
        script = Path(__file__).with_name(f"{subject}.py")
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            failed.append(subject)
    if failed:
        print(f"not measured, or a budget missed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
