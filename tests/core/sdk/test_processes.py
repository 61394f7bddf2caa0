"""Runs and the processes that write them: exit, exceptions, signals, kills, forks, many writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import runfolio as rf

OTHER_PROCESSES = pytest.mark.not_in_memory("other processes use the store")
MANY_PROCESSES = pytest.mark.clouds_on_request("starts processes")
Script = Callable[..., subprocess.CompletedProcess[str]]

LOGGER = """
    import os, signal, sys
    import runfolio as rf
    logger = rf.get_logger()
    assert rf.get_logger() is logger is rf.current_run()
    for value in range(100):
        logger.log("loss", float(value), step=value)
"""


@OTHER_PROCESSES
def test_a_plain_script_is_a_run(script: Script, history: rf.History) -> None:
    done = script(LOGGER, "--rate", "1")
    assert done.returncode == 0, done.stderr
    run = history.last()
    assert (run.status, run.number, run.arguments) == ("Completed", 1, ["--rate", "1"])
    assert run.record.script_name == "script.py"
    assert len(run.metric("loss").values()) == 100
    lines = [line for line in done.stderr.splitlines() if line.startswith("runfolio:")]
    assert len(lines) == 1
    assert run.id in lines[0]
    assert done.stdout == ""


@OTHER_PROCESSES
@MANY_PROCESSES
@pytest.mark.parametrize(
    ("ending", "code", "status", "reason"),
    [
        ("raise ValueError('boom')", 1, "Failed", "ValueError: boom"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "Canceled", "interrupted"),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, "Canceled", "interrupted"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "Canceled", "SIGTERM"),
    ],
)
def test_how_a_script_ends_is_recorded(
    script: Script, history: rf.History, ending: str, code: int, status: str, reason: str
) -> None:
    done = script(f"{LOGGER}\n    {ending}\n")
    assert done.returncode == code
    run = history.last()
    assert run.status == status
    assert len(run.metric("loss").values()) == 100
    assert run.ending is not None
    assert run.ending.reason == reason
    if status == "Failed":
        assert run.ending.traceback is not None
        assert "boom" in run.ending.traceback
        assert "runfolio" not in run.ending.traceback.replace("runfolio as rf", "")


@OTHER_PROCESSES
def test_files_of_the_last_moment_are_stored_with_the_run(script: Script, history: rf.History) -> None:
    """Neither threads nor pools of threads take work any more when the run of a plain script ends."""
    done = script("""
        import runfolio as rf
        run = rf.get_logger()
        for number in range(20):
            run.log_text(f"late {number}", "x")
    """)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
    run = history.last()
    assert run.status == "Completed"
    assert len(run.artifacts) == 20
    assert history.sync().lines() == ["nothing to send"]


@OTHER_PROCESSES
@MANY_PROCESSES
def test_an_exception_at_a_prompt_does_not_fail_the_run(store: str, history: rf.History) -> None:
    typed = "import runfolio\nrunfolio.get_logger().log('loss', 1)\n1 / 0\n"
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=typed,
        env={**os.environ, "RUNFOLIO_STORE": store, "RUNFOLIO_PROJECT": "p"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "ZeroDivisionError" in done.stderr
    assert (history.last().status, history.last().record.script_name) == ("Completed", None)


@OTHER_PROCESSES
@MANY_PROCESSES
def test_handlers_of_the_script_are_chained(script: Script, history: rf.History) -> None:
    code = """
        import os, signal, sys
        import runfolio as rf
        signal.signal(signal.SIGTERM, lambda *_: print("mine") or sys.exit(5))
        sys.excepthook = lambda *_: print("hook")
        logger = rf.get_logger()
        if len(sys.argv) > 1:
            raise ValueError
        os.kill(os.getpid(), signal.SIGTERM)
    """
    done = script(code)
    assert (done.returncode, done.stdout) == (5, "mine\n")
    assert history.last().status == "Canceled"
    assert script(code, "raise").stdout == "hook\n"
    assert history.last().status == "Failed"


@OTHER_PROCESSES
def test_a_killed_script_is_completed_by_the_next_sync(script: Script, history: rf.History) -> None:
    done = script(f"{LOGGER}\n    logger.log_bytes('m.txt', b'x')\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    assert done.returncode == -signal.SIGKILL
    first = history.sync()
    assert len(first.completed) == 1
    assert history.sync().lines() == ["nothing to send"]
    run = history.last()
    assert run.status == "Failed"
    assert run.metric("loss").values() == [float(value) for value in range(100)]
    assert run.artifacts["outputs/m.txt"].read_bytes() == b"x"


@OTHER_PROCESSES
@MANY_PROCESSES
def test_the_next_run_sends_what_a_killed_one_left(script: Script, history: rf.History) -> None:
    script(f"{LOGGER}\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    with history.start_run() as run:
        for thread in [one for one in threading.enumerate() if one.name == "runfolio-sync"]:
            thread.join(60)
    (killed,) = [one for one in history.runs() if one.id != run.id]
    assert killed.status == "Failed"
    assert len(killed.metric("loss").values()) == 100


@OTHER_PROCESSES
@MANY_PROCESSES
def test_an_explicit_history_leaves_the_process_alone(script: Script) -> None:
    done = script("""
        import atexit, logging, signal, sys
        before = (
            sys.excepthook,
            signal.getsignal(signal.SIGTERM),
            signal.getsignal(signal.SIGINT),
            logging.root.handlers[:],
        )
        registered = []
        atexit.register = lambda function, *rest, **named: registered.append(function)
        import runfolio as rf
        with rf.open_history() as history, history.start_run() as run:
            run.log("loss", 0.5)
        with rf.start_run() as run:
            run.log("loss", 0.5)
        after = (
            sys.excepthook,
            signal.getsignal(signal.SIGTERM),
            signal.getsignal(signal.SIGINT),
            logging.root.handlers[:],
        )
        assert before == after
        assert not [one for one in registered if one.__module__.startswith("runfolio")], registered
    """)
    assert done.returncode == 0, done.stderr


@OTHER_PROCESSES
def test_a_forked_child_writes_as_its_own_writer(script: Script, history: rf.History) -> None:
    done = script("""
        import os
        import runfolio as rf
        run = rf.get_logger()
        run.log("parent", 1.0, step=0)
        child = os.fork()
        if child == 0:
            for value in range(50):
                run.log("child", float(value), step=value)
            os._exit(0)
        os.waitpid(child, 0)
        run.log("parent", 2.0, step=1)
    """)
    assert done.returncode == 0, done.stderr
    run = history.last()
    assert run.metric("parent").values() == [1.0, 2.0]
    assert run.metric("child").values() == [float(value) for value in range(50)]
    assert len(set(run.metrics().column("writer").to_pylist())) == 2


@OTHER_PROCESSES
@MANY_PROCESSES
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_log_to_the_run(script: Script, history: rf.History, method: str) -> None:
    done = script(
        """
        import multiprocessing
        import sys
        import runfolio as rf

        def work(number):
            rf.get_logger().log("work", number)
            return number

        if __name__ == "__main__":
            run = rf.get_logger()
            with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
                assert sorted(pool.map(work, range(20), chunksize=1)) == list(range(20))
                pool.close()
                pool.join()
            run.log("after", 1)
    """,
        method,
    )
    assert done.returncode == 0, done.stderr
    run = history.last()
    assert sorted(run.metric("work").values()) == list(range(20))
    assert run.metric("after").values() == [1]
    assert len(history.runs()) == 1


def test_threads_log_to_one_run(history: rf.History) -> None:
    with history.start_run() as run:
        threads = [
            threading.Thread(target=lambda name=name: [run.log(name, float(i)) for i in range(500)] and None)
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in "abcd":
        assert history.last().metric(name).values() == [float(i) for i in range(500)]
        assert history.last().metric(name).steps() == list(range(500))


def test_a_run_goes_on_as_another_attempt(history: rf.History) -> None:
    with pytest.raises(ValueError, match="boom"), history.start_run() as run:  # noqa: PT012 (a run that logs, then fails)
        run.log("loss", 1.0)
        run.log("loss", 2.0)
        raise ValueError("boom")
    assert history.run(run.id).status == "Failed"
    with history.resume_run(run.id) as again:
        again.log("loss", 3.0)
        with pytest.raises(rf.RunStateError):
            history.resume_run(run.id)
    stored = history.run(run.id)
    assert stored.status == "Completed"
    assert stored.metric("loss").values() == [1.0, 2.0, 3.0]
    assert stored.metric("loss").steps() == [0, 1, 2]


def test_additional_writers_may_come_after_the_end(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("loss", 1.0)
    with history.attach(run.id, writer="rank1") as late:
        late.log("late", 2.0)
    stored = history.run(run.id)
    assert stored.status == "Completed"
    assert stored.metric("late").values() == [2.0]
    assert stored.record.metrics["late"].value == 2.0


@OTHER_PROCESSES
@MANY_PROCESSES
def test_a_disabled_run_records_nothing(script: Script, store: str) -> None:
    done = script(LOGGER, RUNFOLIO_MODE="disabled")
    assert done.returncode == 0, done.stderr
    with pytest.raises(rf.StoreNotFoundError):
        len(rf.open_history(store).runs())


@OTHER_PROCESSES
@MANY_PROCESSES
def test_an_offline_run_is_sent_by_sync(script: Script, history: rf.History) -> None:
    assert script(LOGGER, RUNFOLIO_MODE="offline").returncode == 0
    with pytest.raises(rf.StoreNotFoundError):
        len(history.runs())
    assert len(history.sync().completed) == 1
    run = history.last()
    assert (run.status, run.number) == ("Completed", 1)
    assert len(run.metric("loss").values()) == 100


@OTHER_PROCESSES
@MANY_PROCESSES
def test_the_tracked_run_of_the_environment_is_joined(script: Script, history: rf.History) -> None:
    run = history.start_run()
    done = script(LOGGER, **run.child_environment())
    assert done.returncode == 0, done.stderr
    assert run.finish()
    stored = history.run(run.id)
    assert len(stored.metric("loss").values()) == 100
    assert stored.status == "Completed"
    assert len(history.runs()) == 1
