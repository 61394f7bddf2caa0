"""Rules for targets: `runfolio.target`, one test each."""

from __future__ import annotations

import json
import pickle
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.errors import ConfigurationError, NotFoundError, TargetError
from runfolio.target import Job, JobStatus, Resources
from runfolio.testing import other_processes
from runfolio.testing.conformance.rules import Rules
from runfolio.testing.other_processes import METHODS, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from runfolio.target import Target

_WAIT: Final = """
import pathlib, time
print("begun", flush=True)
while not pathlib.Path("gate").exists(): time.sleep(0.01)
print("done", flush=True)
"""
_TELL: Final = """
import json, os, pathlib, sys
told = {"arguments": sys.argv[1:], "folder": os.getcwd(), "greeting": os.environ.get("GREETING")}
pathlib.Path("told.part").write_text(json.dumps(told))
os.replace("told.part", "told.json")
"""
_WORDS: Final = ["plain", "two words", "", "quo'te\"s", "$HOME", "*", "back\\slash", "line\nbreak", "ä 漢 😀", "--lr=1"]


class TargetConformance(Rules):
    """All rules for a target. Subclasses bring `make_target`.

    Jobs run small Python programs in a folder that the test shares with them. A target whose jobs cannot reach a folder
    of this machine has to make one that they can: override the fixture `folder`.
    """

    # No abstract method: pytest leaves abstract classes out without a word.
    def make_target(self, state: Path) -> Target:
        """Return a target.

        Args:
            state: a folder for what it has to remember; the same for all targets of a test.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say how to make a target: override make_target")

    @pytest.fixture
    def target(self, tmp_path: Path) -> Generator[Target]:
        """A target."""
        made = self.make_target(tmp_path / "state")
        yield made
        made.close()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder of a project, reachable for jobs under the same path."""
        found = tmp_path / "a project"
        found.mkdir()
        return found

    def python(self) -> str:
        """Return the interpreter that jobs can start. By default the one that runs the tests."""
        return sys.executable

    def test_lazy(self, target: Target) -> None:
        """A target describes itself without starting anything, and can be closed twice and used again."""
        assert target.name
        target.close()
        target.close()
        assert target.status("a handle that nobody gave out") == JobStatus.UNKNOWN

    def test_completed(self, target: Target, folder: Path) -> None:
        """A job runs in its folder, with its environment, and is Completed when its command returns 0."""
        handle = target.submit(self._job(folder, _TELL, environment={"GREETING": "hello $USER 'ä'"}))
        assert self._ended(target, handle) == JobStatus.COMPLETED
        told = json.loads((folder / "told.json").read_text())
        assert told["greeting"] == "hello $USER 'ä'"
        assert (folder / "told.json").samefile(f"{told['folder']}/told.json")

    def test_no_folder(self, target: Target, folder: Path) -> None:
        """A job that needs no folder runs all the same."""
        job = self._job(folder, f"open({str(folder / 'here')!r}, 'w').close()")
        handle = target.submit(replace(job, folder=""))
        assert self._ended(target, handle) == JobStatus.COMPLETED
        assert (folder / "here").exists()

    def test_arguments(self, target: Target, folder: Path) -> None:
        """Arguments arrive as they were given, each one whole: no shell takes them apart."""
        handle = target.submit(self._job(folder, _TELL, *_WORDS))
        assert self._ended(target, handle) == JobStatus.COMPLETED
        assert json.loads((folder / "told.json").read_text())["arguments"] == _WORDS

    @pytest.mark.parametrize("program", ["raise SystemExit(3)", "1/0"], ids=["exit code 3", "exception"])
    def test_failed(self, target: Target, folder: Path, program: str) -> None:
        """A job whose command returns something else than 0 is Failed."""
        assert self._ended(target, target.submit(self._job(folder, program))) == JobStatus.FAILED

    def test_command_that_does_not_exist(self, target: Target, folder: Path) -> None:
        """A command that cannot be started is refused, or the job is Failed: it is never taken for done."""
        job = Job(command=("there-is-no-such-program",), folder=str(folder))
        try:
            handle = target.submit(job)
        except (ConfigurationError, TargetError):
            return
        assert self._ended(target, handle) == JobStatus.FAILED

    def test_status_while_it_runs(self, target: Target, folder: Path) -> None:
        """A job goes from Submitting or Queued to Running to its end, never back, and submit does not wait for it."""
        handle = target.submit(self._job(folder, _WAIT))
        self._until(lambda: b"begun" in target.logs(handle))
        assert target.status(handle) == JobStatus.RUNNING
        (folder / "gate").write_text("")
        assert self._ended(target, handle) == JobStatus.COMPLETED
        assert target.status(handle) == JobStatus.COMPLETED

    def test_handle(self, target: Target, folder: Path, tmp_path: Path) -> None:
        """A handle is a short text for JSON, different for each job, and another target of the same kind knows it."""
        first, second = (target.submit(self._job(folder, "")) for _ in range(2))
        assert first != second
        assert json.loads(json.dumps(first)) == first
        assert 0 < len(first) <= 500
        assert first.isprintable()
        assert self._ended(target, first) == JobStatus.COMPLETED
        other = self.make_target(tmp_path / "state")
        assert self._ended(other, second) == JobStatus.COMPLETED
        other.close()

    @pytest.mark.parametrize("method", METHODS)
    def test_outlives_who_submitted(self, target: Target, folder: Path, method: str) -> None:
        """A job goes on when the process that submitted it has ended, and any other can follow it by its handle."""
        with processes(method, [(other_processes.submit, (target, self._job(folder, _WAIT)))], self.patience) as (one,):
            one.go()
            handle = one.answer()
        self._until(lambda: target.status(handle) == JobStatus.RUNNING)
        with processes(method, [(other_processes.ask, (target, handle))], self.patience) as (one,):
            one.go()
            assert one.answer() == JobStatus.RUNNING
        (folder / "gate").write_text("")
        assert self._ended(target, handle) == JobStatus.COMPLETED

    def test_cancel(self, target: Target, folder: Path) -> None:
        """A canceled job ends as Canceled, and its command has ended then."""
        program = (
            "import time\nprint('begun', flush=True)\nwhile True:\n open('beat', 'a').write('.')\n time.sleep(0.01)"
        )
        handle = target.submit(self._job(folder, program))
        self._until(lambda: b"begun" in target.logs(handle))
        target.cancel(handle)
        target.cancel(handle)
        assert self._ended(target, handle) == JobStatus.CANCELED
        beats = (folder / "beat").stat().st_size
        assert target.status(handle) == JobStatus.CANCELED
        time.sleep(0.2)  # a command that goes on would have written meanwhile; one that has ended never does
        assert (folder / "beat").stat().st_size == beats

    def test_cancel_at_once(self, target: Target, folder: Path) -> None:
        """A job can be canceled before it has begun."""
        handle = target.submit(self._job(folder, _WAIT))
        target.cancel(handle)
        assert self._ended(target, handle) == JobStatus.CANCELED

    def test_cancel_too_late(self, target: Target, folder: Path) -> None:
        """Canceling a job that has ended changes nothing, nor does it fail."""
        handle = target.submit(self._job(folder, ""))
        assert self._ended(target, handle) == JobStatus.COMPLETED
        target.cancel(handle)
        assert target.status(handle) == JobStatus.COMPLETED

    def test_logs(self, target: Target, folder: Path) -> None:
        """What a job prints can be read while it runs, from any byte on, and all of it after the end."""
        handle = target.submit(self._job(folder, _WAIT))
        self._until(lambda: target.logs(handle).startswith(b"begun"))
        begun = len(target.logs(handle))
        (folder / "gate").write_text("")
        self._ended(target, handle)
        whole = target.logs(handle)
        assert whole.split() == [b"begun", b"done"]
        assert target.logs(handle, begun) == whole[begun:]
        assert target.logs(handle, len(whole)) == b""
        assert target.logs(handle, len(whole) + 100) == b""

    def test_logs_of_errors(self, target: Target, folder: Path) -> None:
        """What a job writes to stderr is part of its log."""
        handle = target.submit(self._job(folder, "import sys\nsys.stderr.write('went wrong')"))
        self._ended(target, handle)
        assert b"went wrong" in target.logs(handle)

    def test_unknown_handle(self, target: Target) -> None:
        """A handle that the target does not know, or no more: Unknown, nothing to cancel, NotFoundError for logs."""
        for handle in ("", "nothing of ours", "../../etc/passwd", '{"pid": 1}'):
            assert target.status(handle) == JobStatus.UNKNOWN
            target.cancel(handle)
            with pytest.raises(NotFoundError):
                target.logs(handle)

    def test_unknown_option(self, target: Target, folder: Path) -> None:
        """An option that the target does not have is refused when the job is submitted: nothing is left out unseen."""
        job = Job(
            command=(self.python(), "-c", ""),
            folder=str(folder),
            resources=Resources(options={"no-such-option-anywhere": 1}),
        )
        with pytest.raises(ConfigurationError):
            target.submit(job)

    def test_many(self, target: Target, folder: Path) -> None:
        """Jobs do not disturb one another: each has its own end and its own log."""
        codes = [0, 3, 0, 3]
        programs = [f"print('job', {at})\nraise SystemExit({code})" for at, code in enumerate(codes)]
        handles = [target.submit(self._job(folder, program)) for program in programs]
        ends = [self._ended(target, handle) for handle in handles]
        assert ends == [JobStatus.FAILED if code else JobStatus.COMPLETED for code in codes]
        assert [target.logs(handle).split() for handle in handles] == [[b"job", b"%d" % at] for at in range(4)]

    def test_pickle(self, target: Target, folder: Path) -> None:
        """A pickled target is the same target."""
        handle = target.submit(self._job(folder, ""))
        copy: Target = pickle.loads(pickle.dumps(target))  # noqa: S301 (just made)
        assert self._ended(copy, handle) == JobStatus.COMPLETED

    def _job(self, folder: Path, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Job:
        command = (self.python(), "-c", program, *arguments)
        return Job(command=command, folder=str(folder), environment=environment or {})

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.patience
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"nothing came of it within {self.patience} s")
            time.sleep(0.02)

    def _ended(self, target: Target, handle: str) -> JobStatus:
        self._until(lambda: target.status(handle).final)
        return target.status(handle)
