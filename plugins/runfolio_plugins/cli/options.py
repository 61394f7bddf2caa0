"""Options that many commands share, and the history that a command works on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import click

from runfolio_plugins.cli.escaping import escape_text
from runfolio_plugins.cli.group import state

if TYPE_CHECKING:
    from runfolio.config import Settings
    from runfolio.history import History

F = TypeVar("F", bound=Callable[..., Any])
FORMATS: Final = ("json", "jsonc", "table", "tsv")


class Output(NamedTuple):
    """The format of a result: the option, else what is configured, else what fits the command.

    Attributes:
        chosen: what ``-o`` says.
        fallback: the command's own.
    """

    chosen: str | None
    fallback: str

    @property
    def format(self) -> str:
        """The format that holds. Settings take part once they are known."""
        return self.chosen or state().output_format or self.fallback


def _debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        with context.scope(cleanup=False):
            state().debug = True
        logging.getLogger("runfolio").setLevel(logging.DEBUG)


def _verbose(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    logger = logging.getLogger("runfolio")
    if value and logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)


def debug_options(function: F) -> F:
    """Add ``--debug`` and ``--verbose``."""
    verbose = click.option(
        "--verbose", is_flag=True, expose_value=False, callback=_verbose, help="Tell what is being done."
    )
    debug = click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_debug,
        help="Show tracebacks and everything that is done.",
    )
    return verbose(debug(function))


def output_options(default: str) -> Callable[[F], F]:
    """Add ``-o/--output``, with a default, and ``--query``."""

    def decorate(function: F) -> F:
        query = click.option(
            "--query", metavar="JMESPATH", help="Pick from the JSON of the result with this JMESPath expression."
        )
        output = click.option(
            "-o",
            "--output",
            type=click.Choice(FORMATS, case_sensitive=False),
            callback=lambda _context, _parameter, value: Output(value, default),
            help=f"Format of the result; jsonc is JSON in colour, tsv has no header. Default: {default}.",
        )
        return output(query(function))

    return decorate


def store_option(function: F) -> F:
    """Add ``--store``."""
    return click.option(
        "--store",
        metavar="URL",
        help="Folder or URL of the store. Default: RUNFOLIO_STORE, else what the project or the user configured.",
    )(function)


def store_place(function: F) -> F:
    """Add a positional URL and ``--store``, two ways to say one thing; the function gets `store`."""

    @wraps(function)
    def either(*arguments: Any, url: str | None, store: str | None, **options: Any) -> Any:
        if url is not None and store is not None:
            raise click.UsageError("The store is given twice: as URL and as --store.")
        return function(*arguments, store=store if url is None else url, **options)

    return click.argument("url", required=False)(store_option(cast("F", either)))


def project_option(text: str = "Name of the project. Default: that of the current folder.") -> Callable[[F], F]:
    """Add ``--project``."""
    return click.option("--project", metavar="NAME", help=text)


def open_history(
    store: str | None,
    project: str | None = None,
    *,
    write: bool = False,
    must_exist: bool = True,
    send_leftovers: bool = True,
) -> History:
    """Open the history that a command works on, after sending what killed processes of this machine left for it.

    Args:
        store: what ``--store`` says.
        project: what ``--project`` says.
        write: whether the command changes something.
        must_exist: fail when there is no store; otherwise it is made when something is written.
        send_leftovers: whether journals of dead processes are sent first.

    Raises:
        StoreNotFoundError: there is no store at the place; reading does not make one.
    """
    import runfolio  # noqa: PLC0415 (kept out of --help)
    from runfolio.config import resolve  # noqa: PLC0415 (likewise)

    explicit = {"store": store, "project": None if project == "*" else project}
    settings = resolve({key: value for key, value in explicit.items() if value is not None})
    use_settings(settings)
    # Those that brought the commands, unless the settings turn some off.
    plugins = None if settings.plugins_disabled else state().plugins
    if send_leftovers and settings.mode == "online":
        with runfolio.open_history(settings=settings, plugins=plugins) as history:
            _send_leftovers(history)
    return runfolio.open_history(settings=settings, read_only=not write, must_exist=must_exist, plugins=plugins)


def _send_leftovers(history: History) -> None:
    """Send the journals of killed processes. Whatever stands in the way is told, and does not stop the command."""
    from runfolio.errors import RunfolioError  # noqa: PLC0415 (kept out of --help)

    try:
        report = history.sync()
    except (RunfolioError, OSError) as error:
        click.echo(
            escape_text(f"Warning: what earlier processes left here cannot be sent to the store: {error}"), err=True
        )
        return
    for run_id in report.completed:
        click.echo(escape_text(f"Note: sent what an earlier process left of {run_id}"), err=True)
    for run_id, reason in report.failed.items():
        click.echo(
            escape_text(f"Warning: what is left of {run_id} cannot be sent, runfolio sync tries again: {reason}"),
            err=True,
        )


def hint_at_waiting(history: History) -> None:
    """Say that runs wait on this machine, so that nobody misses them in the list."""
    count = len(history.waiting())
    if count:
        runs = "1 run waits" if count == 1 else f"{count} runs wait"
        click.echo(escape_text(f"Note: {runs} on this machine: runfolio sync"), err=True)


def use_settings(settings: Settings) -> None:
    """Let settings take part in how this command prints, and tell what was odd about them."""
    state().output_format = settings.output_format
    for text in settings.notes:
        click.echo(escape_text(f"Warning: {text}"), err=True)
