"""``runfolio download``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.files import find_paths
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    open_history,
    output_options,
    project_option,
    store_option,
)
from runfolio_plugins.cli.run_words import chosen_word, find_run, one_run
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio.artifacts import Artifact
    from runfolio_plugins.cli.plain import Plain

_EXAMPLES = """
runfolio download @last
runfolio download k3f9q -d best --artifact outputs/model.pkl
runfolio download '#7' --artifact outputs/plots --artifact driver_log --overwrite
"""


@click.command(cls=Command, examples=_EXAMPLES)
@one_run
@click.option(
    "-d",
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to write into. Default: ./ and the run's id.",
)
@click.option("--artifact", "names", metavar="PATH", multiple=True, help="Only this file or folder. May be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other contents.")
@project_option()
@store_option
@output_options("table")
@debug_options
@click.pass_context
def download(
    context: click.Context,
    *,
    word: str | None,
    named: str | None,
    directory: Path | None,
    names: tuple[str, ...],
    overwrite: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Copy the files of a run into a folder, each verified against its hash.

    What is there already with the same contents is skipped, so a call that was interrupted is continued by the next.
    Nothing is written outside of the folder.
    """
    chosen = chosen_word(word, named)
    with open_history(store, project) as history:
        run = find_run(history, chosen, project)
        paths = find_paths(run, names) if names else None
        target = directory if directory is not None else Path(run.id)
        files = [one for path in paths or [""] for one in run.artifacts.list(path)]
        with progress_bar(sum(one.size for one in files)) as told:
            report = run.artifacts.download(target, paths=paths, overwrite=overwrite, progress=told)
        data = {
            "directory": str(target.absolute()),
            "downloaded": report.downloaded,
            "problems": report.problems,
            "run_id": run.id,
            "skipped": report.skipped,
        }
        if not files and output.format == "table" and query is None:
            note(f"the run {run.id} has no files")
            return
        emit(data, output, query, make_table=files_table)
        click.echo(
            escape(
                f"{summary(len(report.downloaded), len(report.skipped), len(report.problems))} in {target.absolute()}"
            ),
            err=True,
        )
        if report.problems:
            context.exit(1)


def summary(downloaded: int, skipped: int, problems: int) -> str:
    """Return what a download did, in a line."""
    parts = [f"{downloaded} downloaded"]
    if skipped:
        parts.append(f"{skipped} there already")
    if problems:
        parts.append(f"{problems} not downloaded")
    return ", ".join(parts)


def files_table(data: Plain) -> Table:
    """Return the table of a download: what became of each file."""
    rows: list[list[Plain]] = []
    if isinstance(data, dict):
        folder = Path(str(data["directory"]))
        for key, what in (("downloaded", "downloaded"), ("skipped", "there already")):
            listed = data[key]
            rows.extend([what, str(folder / str(path))] for path in (listed if isinstance(listed, list) else []))
        problems = data["problems"]
        rows.extend([str(reason), path] for path, reason in (problems.items() if isinstance(problems, dict) else ()))
    return Table(["Result", "File"], rows, whole=frozenset({"Result", "File"}), longest=1000)


@contextmanager
def progress_bar(total: int) -> Generator[Callable[[Artifact, int], None] | None]:
    """A bar on the terminal, where there is one."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 (only for a terminal)
    from rich.markup import escape as escape_markup  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def told(artifact: Artifact, size: int) -> None:
            bar.update(task, advance=size, description=escape_markup(escape(artifact.path)))

        yield told
