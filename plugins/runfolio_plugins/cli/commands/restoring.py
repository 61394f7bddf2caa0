"""``runfolio restore`` and ``runfolio export-git``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runfolio_plugins.cli.commands.deleting import somebody_is_there
from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import debug_options, open_history, project_option, store_option
from runfolio_plugins.cli.run_words import chosen_word, find_run, one_run

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.restoring import Restore, RestoreReport
    from runfolio.run import Run

_EXAMPLES = """
runfolio restore @last
runfolio restore k3f9q --dry-run
runfolio restore k3f9q --path src --path train.py --yes
runfolio restore k3f9q --to ../as-it-was
runfolio restore --undo
runfolio restore k3f9q --environment > requirements.txt
"""
_EXPORT_EXAMPLES = """
runfolio export-git @last ../history
"""
_SHOWN: Final = 40


@click.command(cls=Command, examples=_EXAMPLES)
@one_run
@click.option("--to", metavar="DIR", type=click.Path(path_type=Path), help="Write into this new folder instead.")
@click.option("--path", "paths", metavar="PATH", multiple=True, help="Only this file or folder. May be repeated.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", is_flag=True, help="Bring back what was here before the last restore.")
@click.option("--environment", is_flag=True, help="Show the packages of the run, or write them into --to DIR.")
@project_option()
@store_option
@debug_options
def restore(
    *,
    word: str | None,
    named: str | None,
    to: Path | None,
    paths: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    undo: bool,
    environment: bool,
    project: str | None,
    store: str | None,
) -> None:
    """Make the project what it was when RUN started. Shows what changes, and asks.

    What is here now is kept first: --undo brings it back, byte for byte. Ignored files, and Git's branch and index,
    stay as they are.
    """
    if undo:
        if word or named or to or paths or environment:
            raise click.UsageError("--undo takes no run and no other option than --yes and --dry-run.")
        _undo(open_history(store, project, must_exist=False, send_leftovers=False), yes=yes, dry_run=dry_run)
        return
    chosen = chosen_word(word, named)
    with open_history(store, project) as history:
        run = find_run(history, chosen, project)
        if environment:
            _environment(run, to)
        elif to is not None:
            _say_whose(run, history)
            _show(run.restore(to, paths=paths, dry_run=dry_run))
        else:
            _restore(history, run, paths, yes=yes, dry_run=dry_run)


def _restore(history: History, run: Run, paths: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    from runfolio.restoring import plan_restore  # noqa: PLC0415 (kept out of --help)

    _finish_earlier(history)
    with plan_restore(run, paths) as plan:
        _say_whose(run, history)
        _go(plan, yes=yes, dry_run=dry_run)


def _undo(history: History, *, yes: bool, dry_run: bool) -> None:
    from runfolio.restoring import plan_undo  # noqa: PLC0415 (kept out of --help)

    _finish_earlier(history)
    with plan_undo(history) as plan:
        _go(plan, yes=yes, dry_run=dry_run)


def _finish_earlier(history: History) -> None:
    from runfolio.restoring import recover  # noqa: PLC0415 (kept out of --help)

    for report in recover(history):
        what = f"of {report.run_id}" if report.run_id is not None else "that was undone"
        click.echo(escape(f"Note: finished a restore {what} that was interrupted"), err=True)
        _say_left(report)


def _say_whose(run: Run, history: History) -> None:
    who = run.record.user_id
    if who != history.user_id:
        click.echo(escape(f"Note: the run {run.id} is not yours: {who or 'somebody unknown'} made it"), err=True)


def _go(plan: Restore, *, yes: bool, dry_run: bool) -> None:
    _show(plan.report)
    if dry_run or not plan.report.changes:
        return
    if not yes:
        if not somebody_is_there():
            raise click.UsageError("Nobody is there to be asked: --yes restores without asking.")
        click.confirm("Change these files?", abort=True, err=True)
    report = plan.apply()
    _say_left(report)
    count = len(report.added) + len(report.overwritten) + len(report.removed)
    click.echo(escape(f"Restored {count} files in {report.folder}; runfolio restore --undo brings back what was here"))


def _show(report: RestoreReport) -> None:
    for title, listed in (("added", report.added), ("overwritten", report.overwritten), ("removed", report.removed)):
        for path in listed[:_SHOWN]:
            click.echo(escape(f"{title:<12}{path}"))
        if len(listed) > _SHOWN:
            click.echo(f"{title:<12}and {len(listed) - _SHOWN:,} more")
    for path, reason in report.kept.items():
        click.echo(escape(f"Note: {path} stays as it is: {reason}"), err=True)
    if not report.changes:
        click.echo(escape(f"Nothing to change in {report.folder}"))
    elif report.done:
        click.echo(escape(f"Wrote {len(report.added)} files into {report.folder}"))


def _say_left(report: RestoreReport) -> None:
    for path in report.changed_meanwhile:
        click.echo(escape(f"Warning: {path} was changed meanwhile, and is left as it is"), err=True)


def _environment(run: Run, to: Path | None) -> None:
    from runfolio.filesystem import TargetFolder  # noqa: PLC0415 (kept out of --help)
    from runfolio.restoring import package_differences, requirements_of  # noqa: PLC0415

    text = requirements_of(run)
    if to is None:
        for line in text.splitlines():
            click.echo(escape(line))
    else:
        with TargetFolder(to).writing("requirements.txt") as out:
            out.write(text.encode())
        click.echo(escape(f"Wrote {to / 'requirements.txt'}"))
    lines = package_differences(run).lines()
    for line in lines or ["The same packages are installed here."]:
        click.echo(escape(line), err=True)


@click.command("export-git", cls=Command, examples=_EXPORT_EXAMPLES)
@one_run
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path), required=False)
@project_option()
@store_option
@debug_options
def export_git(
    *, word: str | None, named: str | None, directory: Path | None, project: str | None, store: str | None
) -> None:
    """Write a plain Git repository into DIR: a commit for each change of the source, up to RUN.

    The branch is main. refs/runfolio/<run id> is the snapshot of each run, whose id the record shows as CommitId.
    """
    if named is not None and directory is None and word is not None:
        directory, word = Path(word), None
    if directory is None:
        raise click.UsageError("Into which folder? Give DIR.")
    from runfolio.restoring import export_git as export  # noqa: PLC0415 (kept out of --help)

    with open_history(store, project) as history:
        commits = export(find_run(history, chosen_word(word, named), project), directory)
    click.echo(
        escape(f"Wrote {len(commits)} commits into {directory}; `git -C {directory} checkout main` shows the files")
    )
