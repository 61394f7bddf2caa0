"""What importing costs over an empty Python. Run it alone: ``python benchmarks/start_up.py``."""

from __future__ import annotations

import subprocess
import sys
import time

from figures import Figure, show

TIMES = 21


def median(*command: str) -> float:
    """Milliseconds of a whole process, the median of several."""
    samples = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        samples.append((time.perf_counter() - begin) * 1000)
    return sorted(samples)[TIMES // 2]


def figures() -> list[Figure]:
    """Measure both against ``python -c pass``."""
    empty = median(sys.executable, "-c", "pass")
    imported = median(sys.executable, "-c", "import runfolio")
    command = median(sys.executable, "-m", "runfolio_plugins.cli", "--help")
    return [
        Figure("import runfolio, over python -c pass", imported - empty, 60, " ms"),
        Figure("runfolio --help, over python -c pass", command - empty, 150, " ms"),
    ]


if __name__ == "__main__":
    sys.exit(show(figures()))
