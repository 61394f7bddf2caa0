"""Training goes on when the store is away; what it logged arrives later, exactly once, and the user is told once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

import runfolio as rf
from runfolio.config import resolve
from runfolio.plugins import Plugins

pytestmark = pytest.mark.local_only("the storage of the plugin that goes away and comes back is a local folder")

WRITES_AND_ENDS = """
    import sys
    import runfolio as rf
    run = rf.get_logger()
    for step in range(50):
        run.log("loss", float(step), step=step)
    run.log_bytes("a.txt", b"a")
    run.log_bytes("b.txt", b"b")
    print(run.id)
"""


class Outage(Protocol):
    """See tests/conftest.py."""

    folder: Path
    environ: dict[str, str]
    url: str

    def begin(self, word: str) -> None: ...
    def end(self) -> None: ...


@pytest.fixture
def store(outage: Outage) -> str:
    """The store of this module's histories and scripts."""
    return outage.url


@pytest.fixture
def history(store: str) -> rf.History:
    """A history whose pauses between two attempts take no time."""
    opened = rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"]))
    connection = opened._connection
    connection.environment = replace(connection.environment, sleep=lambda _seconds: None)
    return opened


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings that the user saw."""
    return [one.message for one in caplog.records if one.name == "runfolio" and one.levelname == "WARNING"]


def stored_once(history: rf.History, run_id: str, values: list[float]) -> rf.Run:
    """The run, after making sure that each value is in the store once, in its folder and in the index."""
    run = history.run(run_id)
    assert run.metric("loss").values() == values
    assert [one.id for one in history.runs()].count(run_id) == 1
    assert run.record.metrics["loss"].count == len(values)
    return run


@pytest.mark.parametrize("word", ["away", "expired", "read only"])
def test_away_from_the_start(outage: Outage, history: rf.History, caplog: pytest.LogCaptureFixture, word: str) -> None:
    """The run has its id, no number, and everything else; the next sync gives the number."""
    outage.begin(word)
    with history.start_run(name="early") as run:
        pending = run.log("loss", 0.5)
        assert pending.wait(0.01) is False
        assert run.flush(timeout=0.01) is False
        assert (run.number, run.record.status, run.record.name) == (None, "Running", "early")
        assert run.unsent.start
        assert run.unsent.rows == 1
    assert run.finish() is False
    assert (run.record.status, run.unsent.end) == ("Completed", True)
    assert len(told(caplog)) == 1
    assert "runfolio sync" in told(caplog)[0]
    assert history.waiting() == [run.id]
    assert run.id in history.sync().failed
    outage.end()
    assert history.sync().completed == [run.id]
    stored = stored_once(history, run.id, [0.5])
    assert (stored.number, stored.status, stored.record.name) == (1, "Completed", "early")
    assert history.waiting() == []
    assert history.sync().completed == []


@pytest.mark.parametrize("word", ["away", "expired", "read only"])
def test_away_in_the_middle(outage: Outage, history: rf.History, caplog: pytest.LogCaptureFixture, word: str) -> None:
    """Flushes fail, then heal; credentials that expire and are renewed are such a case."""
    with history.start_run() as run:
        run.log("loss", 0.0)
        assert run.flush(timeout=60)
        assert not any(run.unsent)
        outage.begin(word)
        run.log("loss", 1.0)
        run.log_bytes("a.txt", b"a")
        run.note = "n"
        while not told(caplog):
            run.flush(timeout=0.05)
        assert run.unsent == (False, 1, ("outputs/a.txt",), 1, False)
        outage.end()
        assert run.flush(timeout=60)
        run.log("loss", 2.0)
    assert run.finish()
    assert not any(run.unsent)
    stored = stored_once(history, run.id, [0.0, 1.0, 2.0])
    assert (stored.status, stored.record.note) == ("Completed", "n")
    assert len(told(caplog)) == 2
    assert "answers again" in told(caplog)[1]


def test_away_at_the_end(outage: Outage, history: rf.History, caplog: pytest.LogCaptureFixture) -> None:
    with history.start_run() as run:
        run.log("loss", 0.0)
        assert run.flush(timeout=60)
        outage.begin("away")
    assert run.finish() is False
    assert run.unsent.end
    assert len(told(caplog)) == 1
    outage.end()
    with history.start_run() as later:  # the next run sends it, beside its own
        later.log("loss", 1.0)
        while history.waiting():
            later.flush(timeout=0.05)
    assert stored_once(history, run.id, [0.0]).status == "Completed"
    stored_once(history, later.id, [1.0])


def test_a_store_that_hangs_keeps_no_process(outage: Outage, script: Callable[..., Any], history: rf.History) -> None:
    """`finish` gives up when the store has not answered for so long; the process leaves, and says where it waits."""
    done = script(
        f"{WRITES_AND_ENDS}\n    run.flush()\n    open({str(outage.folder)!r} + '.state', 'w').write('hang')\n"
        "    run.log('loss', 50.0)\n",
        RUNFOLIO_FINISH_TIMEOUT="1",
        **outage.environ,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "not answered for 1 seconds" in line]
    outage.end()
    run_id = done.stdout.split()[0]
    assert history.sync().completed == [run_id]
    assert stored_once(history, run_id, [float(step) for step in range(51)]).status == "Completed"


def test_interrupted_while_the_last_values_are_sent(
    outage: Outage, script: Callable[..., Any], history: rf.History
) -> None:
    """Ctrl-C ends the wait, not the run: its end was in the journal before."""
    done = script(
        "\n    import os, signal, threading"
        f"{WRITES_AND_ENDS}\n    run.flush()\n    open({str(outage.folder)!r} + '.state', 'w').write('hang')\n"
        "    def interrupt():\n"
        "        while not [one for one in threading.enumerate() if one.name.startswith('runfolio-end')]: pass\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Thread(target=interrupt, daemon=True).start()\n",
        **outage.environ,
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    assert "interrupted" in done.stderr
    outage.end()
    run_id = done.stdout.split()[0]
    assert history.sync().completed == [run_id]
    assert stored_once(history, run_id, [float(step) for step in range(50)]).status == "Completed"


def test_files_logged_just_before_the_exit_are_stored(
    script: Callable[..., Any], outage: Outage, history: rf.History
) -> None:
    """Requests side by side, while the interpreter is about to end."""
    done = script(WRITES_AND_ENDS, **outage.environ)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    run = stored_once(history, done.stdout.split()[0], [float(step) for step in range(50)])
    assert run.status == "Completed"
    assert [one.path for one in run.artifacts.list()] == ["outputs/a.txt", "outputs/b.txt"]


def sync_processes(outage: Outage, spools: list[Path]) -> None:
    """Run ``runfolio sync`` at one time, once for each spool folder named."""
    command = [sys.executable, "-m", "runfolio_plugins.cli", "sync", "--store", outage.url]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **outage.environ, "RUNFOLIO_SPOOL": str(spool)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for spool in spools
    ]
    for one in started:
        said, _ = one.communicate(timeout=300)
        assert one.returncode == 0, said


def test_many_syncs_at_once_store_it_once(
    script: Callable[..., Any], outage: Outage, history: rf.History, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    done = script(WRITES_AND_ENDS, RUNFOLIO_MODE="offline", RUNFOLIO_SPOOL=str(spool), **outage.environ)
    run_id = done.stdout.split()[0]
    sync_processes(outage, [spool] * 3)
    assert stored_once(history, run_id, [float(step) for step in range(50)]).number == 1
    entries = sorted(path.name.split("-")[-2] for path in (outage.folder / "log").iterdir())
    assert len(entries) == 2
    assert not [*spool.glob("*/")]


def test_two_machines_sync_at_once(
    script: Callable[..., Any], outage: Outage, history: rf.History, tmp_path: Path
) -> None:
    """Each has its own spool; both runs get a number of their own."""
    spools = [tmp_path / "one", tmp_path / "two"]
    ids = [
        script(WRITES_AND_ENDS, RUNFOLIO_MODE="offline", RUNFOLIO_SPOOL=str(spool), **outage.environ).stdout.split()[0]
        for spool in spools
    ]
    sync_processes(outage, spools)
    runs = [stored_once(history, run_id, [float(step) for step in range(50)]) for run_id in ids]
    assert sorted(run.number or 0 for run in runs) == [1, 2]


def test_a_list_says_that_runs_wait(script: Callable[..., Any], outage: Outage) -> None:
    """An offline machine does not send by itself, but does not forget either."""
    script(WRITES_AND_ENDS, RUNFOLIO_MODE="online", **outage.environ)
    for _ in range(2):
        script(WRITES_AND_ENDS, RUNFOLIO_MODE="offline", **outage.environ)
    command = [sys.executable, "-m", "runfolio_plugins.cli", "list", "--store", outage.url, "--project", "p"]
    variables = {**os.environ, **outage.environ, "RUNFOLIO_MODE": "offline"}
    shown = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=300)
    assert "2 runs wait on this machine: runfolio sync" in shown.stderr


def test_a_store_without_the_condition_is_refused_and_training_goes_on(
    outage: Outage, history: rf.History, caplog: pytest.LogCaptureFixture
) -> None:
    outage.begin("no condition")
    with history.start_run() as run:
        run.log("loss", 0.5)
    assert run.finish() is False
    assert "single_writer" in told(caplog)[0]
    user_file = Path(os.environ["XDG_CONFIG_HOME"]) / "runfolio" / "config.toml"
    user_file.parent.mkdir(parents=True, exist_ok=True)
    user_file.write_text(f'[stores.mine]\nurl = "{outage.url}"\nsingle_writer = true\n', "utf-8")
    accepted = rf.open_history(settings=resolve({"store": "mine", "project": "p"}))
    assert accepted.sync().completed == [run.id]
    report = accepted.check()
    assert report.ok
    assert [one.name for one in report.guarantees if not one.ok] == [
        "create only if absent",
        "create exactly once in a race",
    ]
    assert not rf.open_history(outage.url, project="p").check().ok
