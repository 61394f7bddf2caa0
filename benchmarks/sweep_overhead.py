"""A sweep of 50 runs against a bare shell loop of the same script, one at a time on one core.

Run it alone: ``python benchmarks/sweep_overhead.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Figure, show

SCRIPT = """
import sys
from pathlib import Path

rate = float(sys.argv[2])
Path("outputs").mkdir(exist_ok=True)
Path("outputs/model.txt").write_text(str(rate))
print("loss", 1 / rate)
"""


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Seconds of a command, which must succeed."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - begin


def figures(folder: Path, runs: int) -> list[Figure]:
    """Measure the loop and the sweep."""
    project = folder / "proj"
    project.mkdir()
    (project / "runfolio.toml").write_text('project = "proj"\n')
    (project / "train.py").write_text(SCRIPT)
    rates = [str(number) for number in range(1, runs + 1)]
    environment = {**os.environ, "RUNFOLIO_STATE_DIR": str(folder / "state")}
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    loop = f"for rate in {' '.join(rates)}; do {sys.executable} train.py --lr $rate || exit 1; done"
    bare = timed(["sh", "-c", loop], project, environment)
    command = [sys.executable, "-m", "runfolio_plugins.cli", "sweep", "train.py", "--lr", ",".join(rates)]
    swept = timed(command, project, environment)
    listed = subprocess.run(
        [sys.executable, "-m", "runfolio_plugins.cli", "list", "--where", "status = 'Completed'", "-o", "tsv"],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        Figure(
            f"a run of a sweep of {runs}, over one of a bare shell loop of the script", (swept - bare) / runs, 1.0, " s"
        ),
        Figure("runs of it that are not in the store as Completed", runs - len(listed.stdout.splitlines()), 0, ""),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    with tempfile.TemporaryDirectory() as place:
        sys.exit(show(figures(Path(place), parser.parse_args().runs)))
