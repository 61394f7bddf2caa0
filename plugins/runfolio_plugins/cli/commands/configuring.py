"""``runfolio config`` and ``runfolio trust``: what holds and where it comes from, and which stores are approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.formats import any_table
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import Output, debug_options, output_options, store_option, use_settings
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio_plugins.cli.plain import Plain

_CONFIG = """
runfolio config
runfolio config store -o tsv --query value
runfolio config -o json --query "[?origin != 'default']"
RUNFOLIO_STORE=s3://bucket/prefix runfolio config store
"""
_TRUST = """
runfolio trust s3://bucket/prefix
runfolio trust --list
runfolio trust s3://bucket/prefix --revoke
"""
_LONG = 1000


@click.command(cls=Command, examples=_CONFIG)
@click.argument("key", required=False)
@store_option
@output_options("table")
@debug_options
def config(*, key: str | None, store: str | None, output: Output, query: str | None) -> None:
    """Show the settings that hold here, and where each one comes from: an argument, the environment, or a file.

    KEY shows one of them. Secrets are hidden. Files are read in this order, the first that says something wins: the
    project's runfolio.toml (or [tool.runfolio] of pyproject.toml), the user's, the site's.
    """
    from runfolio.config import describe, resolve  # noqa: PLC0415 (kept out of --help)

    settings = resolve({"store": store} if store is not None else {})
    use_settings(settings)
    described = describe(settings)
    lines = [{"key": one.key, "origin": one.origin, "value": one.value} for one in described]
    if key is None:
        emit(lines, output, query, make_table=_settings_table)
        return
    found = next((one for one in lines if one["key"] == key), None)
    if found is None:
        known = ", ".join(str(one["key"]) for one in lines)
        raise click.UsageError(f"There is no setting {key!r}. There are: {known}")
    emit(found, output, query, make_table=lambda data: _settings_table([data]))


def _settings_table(data: Plain) -> Table:
    lines = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    rows = [[one["key"], one["value"], one["origin"]] for one in lines]
    return Table(["Setting", "Value", "Comes from"], rows, whole=frozenset({"Setting"}), longest=_LONG)


@click.command(cls=Command, examples=_TRUST)
@click.argument("url", required=False)
@click.option("--revoke", is_flag=True, help="Take the approval of URL back.")
@click.option("--list", "listed", is_flag=True, help="List what is approved.")
@output_options("table")
@debug_options
def trust(*, url: str | None, revoke: bool, listed: bool, output: Output, query: str | None) -> None:
    """Approve a store that a project file names, so that it is used with your credentials.

    URL is what the error message says; without it, the store that the project of this folder names. Stores that you
    name yourself, in the environment, an option or your own settings, need no approval.
    """
    from runfolio import config as configuration  # noqa: PLC0415 (kept out of --help)

    if listed:
        if url or revoke:
            raise click.UsageError("--list goes alone.")
        approvals = [{"url": one.url, "approved_utc": one.approved_utc} for one in configuration.approved()]
        emit(approvals, output, query, make_table=_approvals_table if approvals else None, sort=False)
        if not approvals:
            note("no store is approved")
        return
    chosen = url or _project_store(configuration)
    if chosen is None:
        note("the store of this folder needs no approval")
    elif not revoke:
        click.echo(escape(f"Approved {configuration.approve(chosen)}"))
    elif configuration.revoke(chosen):
        click.echo(escape(f"No longer approved: {chosen}"))
    else:
        raise click.ClickException(f"{chosen} was not approved; runfolio trust --list shows what is.")


def _project_store(configuration: Any) -> str | None:
    """What there is to approve of the store that this folder's project names, or None."""
    address = configuration.store_address(configuration.resolve())
    return configuration.trust_url(address) if configuration.needs_trust(address) else None


def _approvals_table(data: Plain) -> Table:
    table = any_table(data)
    table.longest = _LONG
    return table
