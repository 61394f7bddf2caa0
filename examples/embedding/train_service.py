"""Another tool keeps its history with Runfolio, in a store of its own: ``python train_service.py STORE``."""

import sys
from collections.abc import Mapping

import runfolio as rf


def recorded(store: str, job: str, settings: Mapping[str, float]) -> str:
    with (
        rf.open_history(store) as history,
        history.start_run(project="service", experiment=job, params=settings) as run,
    ):
        for step in range(100):
            run.log("loss", settings["start"] / (1 + step * settings["rate"]), step=step)
        run.summary["converged"] = True
        return run.id


def best(store: str) -> rf.Run:
    with rf.open_history(store, read_only=True) as history:
        return history.best("loss", project="service", goal="min")


if __name__ == "__main__":
    for rate in (0.1, 0.3, 1.0):
        print("recorded", recorded(sys.argv[1], "fit", {"start": 2.0, "rate": rate}))
    print("best", best(sys.argv[1]).id)
