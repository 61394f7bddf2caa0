"""``runfolio promote``, and the group ``runfolio assets``: list, info, download, alias, link, retract."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from runfolio_plugins.cli.commands.deleting import size_text, somebody_is_there
from runfolio_plugins.cli.commands.downloading import files_table, progress_bar, summary
from runfolio_plugins.cli.emitting import emit
from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.files import find_paths
from runfolio_plugins.cli.group import Command, CommandGroup, state
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
    from runfolio.assets.versions import AssetVersion
    from runfolio_plugins.cli.plain import Plain

F = TypeVar("F", bound=Callable[..., Any])
_PROMOTE = """
runfolio promote @last -ap outputs/model.pkl -n iris
runfolio promote -r k3f9q -ap outputs/checkpoint -n iris
"""
_ASSETS = """
runfolio assets list
runfolio assets download iris -d models
runfolio assets alias iris@3 production
"""
_LIST = """
runfolio assets list
runfolio assets list iris
"""
_INFO = """
runfolio assets info iris
runfolio assets info iris@production --query run_id -o tsv
"""
_DOWNLOAD = """
runfolio assets download iris@3 -d models
runfolio assets download -l assets/iris.link -d models
"""
_ALIAS = """
runfolio assets alias iris@3 production
runfolio assets alias iris production --remove
"""
_LINK = """
runfolio assets link iris
runfolio assets link iris@2
"""
_RETRACT = """
runfolio assets retract iris@3 --reason "trained on the test set"
"""
_HELP: Final = "The asset: NAME (its newest version), NAME@3, NAME@ALIAS, or the path of a link."
_SHORT_HASH: Final = 12


def _complete_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The names of assets that begin so; after an ``@`` the versions and aliases."""
    import runfolio  # noqa: PLC0415 (only when a shell asks)

    # Whatever goes wrong, a shell that wanted to complete a word completes nothing.
    with (
        contextlib.suppress(Exception),
        runfolio.open_history(context.params.get("store"), read_only=True, plugins=state().plugins) as history,
    ):
        name, at, _ = begun.partition("@")
        if not at:
            return [one for one in history.assets.names() if one.startswith(begun)]
        versions = [one for one in history.assets.versions(name) if one.retraction is None]
        selectors = [str(one.version) for one in versions] + [alias for one in versions for alias in one.aliases]
        return [word for word in (f"{name}@{selector}" for selector in selectors) if word.startswith(begun)]
    return []


def _asset(function: F) -> F:
    """Take a version of an asset as a word."""
    return click.argument("word", metavar="NAME[@VERSION]", shell_complete=_complete_names)(function)


@click.command(cls=Command, examples=_PROMOTE)
@one_run
@click.option(
    "-ap",
    "--artifact-path",
    "path",
    metavar="PATH",
    required=True,
    help="File or folder of the run, for example outputs/model.pkl.",
)
@click.option(
    "-n", "--name", metavar="NAME", required=True, shell_complete=_complete_names, help="The asset; made when new."
)
@click.option("--no-link", is_flag=True, help="Do not write assets/NAME.link in the current project.")
@project_option()
@store_option
@output_options("table")
@debug_options
def promote(
    *,
    word: str | None,
    named: str | None,
    path: str,
    name: str,
    no_link: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Make a new version of an asset of one file or one folder of a run that has ended.

    Each file is verified first. From then on it is kept, even when the run is deleted. The link assets/NAME.link in
    your project points at the version; commit it in place of the file.
    """
    chosen = chosen_word(word, named)
    with open_history(store, project, write=True) as history:
        run = find_run(history, chosen, project)
        version = run.promote(find_paths(run, [path])[0], name, link=not no_link)
        data = {
            **version.to_dict(),
            "link": None if no_link else str(history.settings.root / "assets" / f"{name}.link"),
        }
        emit(data, output, query, make_table=lambda _data: _versions_table([version]))
        if not no_link:
            click.echo(escape(f"Link: {data['link']}"), err=True)


@click.group(cls=CommandGroup, examples=_ASSETS)
def assets() -> None:
    """Look after what was promoted."""


@assets.command("list", cls=Command, examples=_LIST)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=_complete_names)
@store_option
@output_options("table")
@debug_options
def list_assets(*, name: str | None, store: str | None, output: Output, query: str | None) -> None:
    """List the newest version of each asset, or all versions of one."""
    with open_history(store) as history:
        found = history.assets.list() if name is None else history.assets.versions(name)
        emit([one.to_dict() for one in found], output, query, make_table=lambda _data: _versions_table(found))


@assets.command("info", cls=Command, examples=_INFO)
@_asset
@store_option
@output_options("json")
@debug_options
def info(*, word: str, store: str | None, output: Output, query: str | None) -> None:
    """Show one version: its files, and the run and the evidence that it comes with."""
    with open_history(store) as history:
        version = history.assets.get(word)
        emit(version.to_dict(), output, query, make_table=lambda _data: _versions_table([version]))


@assets.command("download", cls=Command, examples=_DOWNLOAD)
@click.argument("word", metavar="[NAME[@VERSION]]", required=False, shell_complete=_complete_names)
@click.option("-l", "--link-file", metavar="FILE", type=click.Path(path_type=Path), help="The link to it, instead.")
@click.option(
    "-d",
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder to write into. Default: the current one.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other contents.")
@store_option
@output_options("table")
@debug_options
@click.pass_context
def download(
    context: click.Context,
    *,
    word: str | None,
    link_file: Path | None,
    directory: Path,
    overwrite: bool,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Copy a version into a folder, each file verified against its hash.

    What is there already with the same contents is skipped, so a call that was interrupted is continued by the next.
    """
    if (word is None) == (link_file is None):
        raise click.UsageError("Which asset? Give NAME, NAME@VERSION or NAME@ALIAS, or its link with -l.")
    with open_history(store) as history:
        version = history.assets.get(link_file or word or "")
        with progress_bar(version.size) as told:
            report = version.download(directory, overwrite=overwrite, progress=told)
        data = {
            "directory": str(directory.absolute()),
            "downloaded": report.downloaded,
            "name": version.name,
            "problems": report.problems,
            "skipped": report.skipped,
            "version": version.version,
        }
        emit(data, output, query, make_table=files_table)
        what = summary(len(report.downloaded), len(report.skipped), len(report.problems))
        click.echo(escape(f"{version.word}: {what} in {directory.absolute()}"), err=True)
        if report.problems:
            context.exit(1)


@assets.command("alias", cls=Command, examples=_ALIAS)
@_asset
@click.argument("alias", metavar="ALIAS")
@click.option("--remove", is_flag=True, help="Let the alias stand for nothing.")
@store_option
@debug_options
def alias(*, word: str, alias: str, remove: bool, store: str | None) -> None:
    """Let a word such as production stand for a version from now on. What it stood for before stays on record."""
    with open_history(store, write=True) as history:
        if remove:
            history.assets.remove_alias(word, alias)
            click.echo(escape(f"{word}@{alias} stands for nothing now"))
        else:
            version = history.assets.alias(word, alias)
            click.echo(escape(f"{version.name}@{alias} is {version.word} now"))


@assets.command("link", cls=Command, examples=_LINK)
@_asset
@store_option
@debug_options
def link(*, word: str, store: str | None) -> None:
    """Write assets/NAME.link in the current project: to go back to a version, or to start to use one."""
    with open_history(store) as history:
        click.echo(escape(str(history.assets.link(word))))


@assets.command("retract", cls=Command, examples=_RETRACT)
@_asset
@click.option("--reason", metavar="TEXT", help="Why; it is shown to whoever asks for this version.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_option
@debug_options
def retract(*, word: str, reason: str | None, yes: bool, store: str | None) -> None:
    """Take a version back, for good: nobody gets it any more. Its record stays.

    Its files are no longer kept for it: when the run was deleted, the next runfolio store gc --delete removes them.
    """
    with open_history(store, write=True) as history:
        version = history.assets.get(word)
        if not yes:
            if not somebody_is_there():
                raise click.UsageError("Nobody is there to be asked: --yes takes it back without asking.")
            click.confirm(escape(f"Take {version.word} of {version.run_id} back for good?"), abort=True, err=True)
        history.assets.retract(version.word, reason)
        click.echo(escape(f"Took {version.word} back"))


def _versions_table(versions: Sequence[AssetVersion]) -> Table:
    headers = ["Name", "Version", "Aliases", "Path", "Files", "Size", "Promoted_utc", "Who", "Run_id", "SHA-256"]
    rows: list[list[Plain]] = [
        [
            one.name,
            one.version,
            ", ".join(one.aliases) if one.retraction is None else "(taken back)",
            one.path,
            len(one.files),
            size_text(one.size),
            one.promoted_utc.isoformat(timespec="seconds"),
            one.who,
            one.run_id,
            one.sha256[:_SHORT_HASH],
        ]
        for one in versions
    ]
    return Table(headers, rows, whole=frozenset({"Name", "Run_id"}))
