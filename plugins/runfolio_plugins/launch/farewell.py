"""The end of a tracked run: what it left is stored, recorded and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio.errors import RunfolioError
from runfolio_plugins.launch.storing import Stored
from runfolio_plugins.launch.workspace import KEPT_DAYS, Kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runfolio import ActiveRun
    from runfolio_plugins.launch.launcher import Screen
    from runfolio_plugins.launch.request import Located
    from runfolio_plugins.launch.storing import Capturer
    from runfolio_plugins.launch.story import Story
    from runfolio_plugins.launch.workspace import RunFolder

_SHOWN: Final = 10
_RECORDED: Final = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: ``Completed``, ``Failed`` or ``Canceled``.
        reason: a line for people.
        traceback: of the script.
        exit_code: of the script, as a shell would give it.
    """

    status: str
    reason: str | None
    traceback: str | None
    exit_code: int


@dataclass(slots=True)
class Farewell:
    """The end of one run.

    Attributes:
        run: the run.
        located: what was run.
        story: the control log.
        screen: where it is shown.
        folder: the folder of the run on this machine.
        left_behind: files that the script made outside of what is captured.
        copied: whether it ran in a working copy.
        stored: what the capture did.
        unsent: whether something waits for ``runfolio sync``.
    """

    run: ActiveRun
    located: Located
    story: Story
    screen: Screen
    folder: RunFolder
    left_behind: list[str]
    copied: bool
    stored: Stored = field(default_factory=Stored)
    unsent: bool = False
    problems: dict[str, str] = field(default_factory=dict)

    def store(self, capturer: Capturer, logs: Sequence[tuple[Path, str]], outcome: Outcome) -> None:
        """Store the outputs and logs, and end the run. Whatever storage does, the end is at least journaled."""
        try:
            recovered = self.run.recover_writers()
            if recovered:
                self.story.tell(f"values of {recovered} process(es) that did not end in order were recovered")
            self.stored = capturer.capture()
            self.problems = capturer.problems
            self._tell_stored()
            if self.left_behind:
                self.run.left_behind(self.left_behind)
            if self.stored.skipped:
                skipped = [f"{path}: {reason}" for path, reason in self.stored.skipped[:_RECORDED]]
                self.run.set_properties({"SkippedOutputs": skipped})
            reason = f" ({outcome.reason})" if outcome.reason else ""
            self.story.tell(f"the run ends as {outcome.status}{reason}, exit code {outcome.exit_code}")
            report = self.run.store_files([pair for pair in logs if pair[0].exists()], unlimited=True)
            self.unsent = bool(report.waiting)
        except (RunfolioError, OSError) as error:
            # Our own trouble must not hide how the script ended.
            self.story.warn(f"not everything could be stored: {error}")
            self.unsent = True
        finally:
            sent = self.run.finish(
                outcome.status, reason=outcome.reason, traceback=outcome.traceback, exit_code=outcome.exit_code
            )
        wanted = self.located.settings.mode != "disabled"
        self.unsent = wanted and (self.unsent or not sent or bool(self.stored.waiting))

    def _tell_stored(self) -> None:
        done = self.stored
        self.story.tell(f"captured: {len(done.stored)} files of outputs stored, {done.bytes:,} bytes looked at")
        for path, target in done.renamed.items():
            self.story.tell(f"  {path!a} is stored as {target}")
        for path, reason in {**self.problems, **dict(done.skipped)}.items():
            self.story.tell(f"  not stored: {path!a}: {reason}")

    def show(self) -> None:
        """Print how it ended, and what needs attention."""
        self.screen.say(f"\nExecution Details\n=================\nRunId: {self.run.id}")
        notes = [f"{path} was not stored: {reason}" for path, reason in self.problems.items()]
        notes += [f"{path} was not stored: it is {reason}" for path, reason in self.stored.skipped]
        for note in _shortened(notes):
            self.story.show(f"runfolio: {_printable(note)}")
        if self.left_behind:
            names = _shortened([_printable(path) for path in self.left_behind])
            made = f"{_count(self.left_behind)} made or changed outside of outputs/, and not stored"
            self.story.show(f"runfolio: {made}: {', '.join(names)}")
        if self.left_behind or self.problems:
            kept = f"kept for {KEPT_DAYS} days in {self.folder.path}" if self.copied else "left where they are"
            advice = '; a setting like capture = ["checkpoints"] stores more folders' if self.left_behind else ""
            self.story.show(f"runfolio: {kept}{advice}")

    def why_kept(self, now: float) -> Kept | None:
        """Why the folder of the run must stay; None when it can go."""
        lost = len(self.left_behind) + (len(self.problems) if self.copied else 0)
        if not lost and not self.unsent:
            return None
        return Kept(self.run.id, str(self.located.root), now, lost, self.unsent)


def _shortened(lines: list[str]) -> list[str]:
    rest = len(lines) - _SHOWN
    return lines if rest <= 0 else [*lines[:_SHOWN], f"and {rest:,} more"]


def _printable(text: str) -> str:
    """Names may hold anything: control characters and bytes that are no text are escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _count(paths: list[str]) -> str:
    return "1 file was" if len(paths) == 1 else f"{len(paths):,} files were"
