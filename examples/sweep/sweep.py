"""Runs ``train.py`` over a grid, several trials at a time, and prints the best one: ``python sweep.py``.

Each trial is a tracked run: it executes in its own working copy, so trials never mix their files.
"""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import runfolio as rf

RATES = (0.03, 0.1, 0.3)
MOMENTA = (0.0, 0.9)


def trial(settings: tuple[float, float]) -> int:
    rate, momentum = settings
    command = ["runfolio", "run", "train.py", "--rate", str(rate), "--momentum", str(momentum)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def main() -> int:
    with ThreadPoolExecutor(max_workers=2) as pool:
        failed = sum(code != 0 for code in pool.map(trial, itertools.product(RATES, MOMENTA)))
    with rf.open_history(read_only=True) as history:
        runs = history.runs(experiment="train.py", where="max(loss) is not null", order_by="loss")
        for run in runs:
            print(
                f"{run.short_id}  rate {run.record.params['rate']:<5} momentum {run.record.params['momentum']:<4}",
                end="  ",
            )
            print(f"loss {run.metric('loss').values()[-1]:.5f}")
        best = history.best("loss")
        print(f"best: {best.id} with {dict(best.record.params)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
