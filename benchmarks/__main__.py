"""Every local budget in one command: ``python benchmarks`` (or ``python -m benchmarks`` from the root).

Ratios are taken within one run. The comparison with other trackers makes environments of its own and takes longer:
``python benchmarks/comparison/run.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SUBJECTS = {
    "start_up": [],
    "request_counts": [],
    "log_hot_path": ["--quick"],
    "rows_to_parquet": ["--quick"],
    "source_snapshots": [],
    "sweep_overhead": ["--runs", "5"],
    "index_scale": ["--runs", "10000"],
    "many_runs": ["--runs", "2000"],
    "many_processes": ["--processes", "8"],
}
"""Each with the options that make it small."""


def main() -> int:
    """Run one subject after the other, each in a process of its own; 1 when one missed a budget or was not measured."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"only these, of {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all works, proves no budget")
    options = parser.parse_args()
    unknown = set(options.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    failed = []
    for subject in options.subjects or SUBJECTS:
        print(f"== {subject}", flush=True)
        script = Path(__file__).with_name(f"{subject}.py")
        small = SUBJECTS[subject] if options.quick else []
        if subprocess.run([sys.executable, str(script), *small], check=False).returncode:
            failed.append(subject)
    if failed:
        print(f"not measured, or a budget missed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
