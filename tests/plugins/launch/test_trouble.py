"""A tracked run whose store is in trouble: the user is told once, by whichever process finds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import runfolio as rf

if TYPE_CHECKING:
    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

SCRIPT = """
    import os
    from runfolio import get_logger
    run = get_logger()
    run.log("loss", 0.5)
    run.flush(timeout=1)
    if os.fork() == 0:
        run.log("child", 1.0)
        run.finish()
        os._exit(0)
    os.wait()
"""


def test_trouble_is_told_once(project: Project, outage: Any) -> None:
    with rf.open_history(outage.url, project="proj") as history:
        history.make_store()
        project.write("train.py", SCRIPT)
        outage.begin("read only")
        variables = {**os.environ, **outage.environ, "RUNFOLIO_STORE": outage.url}
        done = project.runfolio("run", "train.py", env=variables)
        assert done.returncode == 0
        told = [line for line in (done.stdout + done.stderr).splitlines() if "the store" in line]
        assert len(told) == 1, told
        assert "runfolio sync" in told[0]
        outage.end()
        (run_id,) = set(history.sync().completed)
        assert history.run(run_id).metric("loss").values() == [0.5]
        assert history.run(run_id).metric("child").values() == [1.0]
