"""Tracked runs: ``runfolio run``, and what belongs to it: ``rerun``, ``init``, ``metric``, ``capture``, ``clean``.

From Python: `capture_now` stores the outputs of the run that this process belongs to, while it lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import click

    from runfolio.hookspecs import RegisterTarget
    from runfolio.run import Run


@hookimpl
def runfolio_register_commands(cli: click.Group) -> None:
    """Add our commands."""
    # Not at the top: this module is loaded with the plugins of every history, which need no command line.
    from runfolio_plugins.launch import commands, job_commands  # noqa: PLC0415 (see above)

    for command in (
        commands.run,
        commands.go_on,
        commands.rerun,
        commands.init,
        commands.metric,
        commands.capture,
        commands.clean,
    ):
        cli.add_command(command)
    for command in (job_commands.sweep, job_commands.jobs, job_commands.wait, job_commands.cancel):
        cli.add_command(command)


@hookimpl
def runfolio_register_targets(register: RegisterTarget) -> None:
    """Announce this machine."""
    register("local", "runfolio_plugins.launch.local_target:LocalTarget")


@hookimpl
def runfolio_rerun(run: Run, arguments: Sequence[str] | None) -> str | None:
    """Run the source of a run again, here."""
    from runfolio_plugins.launch.rerunning import rerun_here  # noqa: PLC0415 (loaded on use)

    return rerun_here(run, arguments)


@hookimpl
def runfolio_cancel(run: Run) -> bool | None:
    """Tell the launcher of a run of this machine, or the target that has its job, to end it."""
    from runfolio_plugins.launch.running_here import cancel_here  # noqa: PLC0415 (loaded on use)
    from runfolio_plugins.launch.submitting import cancel_elsewhere  # noqa: PLC0415

    return cancel_here(run.id) or cancel_elsewhere(run)


@hookimpl
def runfolio_live_log(run: Run) -> Path | None:
    """Return the log of a run of this machine."""
    from runfolio_plugins.launch.running_here import live_log  # noqa: PLC0415 (loaded on use)

    return live_log(run.id)


def capture_now(timeout: float = 600.0) -> bool:
    """Store what lies in ``outputs`` (and the other captured folders) now, from inside a tracked run.

    Args:
        timeout: seconds to wait for the launcher.

    Returns:
        True when everything that is there is in the store; False when some of it is not, or this is no tracked run.
    """
    from runfolio_plugins.launch.mailbox import ask  # noqa: PLC0415 (loaded on use)

    try:
        answer = ask({"kind": "capture"}, timeout=timeout)
    except TimeoutError:
        return False
    return bool(answer and answer.get("ok") and not answer.get("problems"))


__all__ = [
    "capture_now",
    "runfolio_cancel",
    "runfolio_live_log",
    "runfolio_register_commands",
    "runfolio_register_targets",
    "runfolio_rerun",
]
