"""Running the source of an earlier run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runfolio.config import resolve
from runfolio.config.redaction import HIDDEN
from runfolio.errors import ConfigurationError
from runfolio.history import History
from runfolio_plugins.launch.foreground import launch_here
from runfolio_plugins.launch.request import LaunchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runfolio.run import Run


def find_request(
    word: str, arguments: Sequence[str] | None, *, project: str | None, store: str | None, name: str | None
) -> LaunchRequest:
    """Return the request that runs a run again, which a word names.

    Raises:
        RunNotFoundError: no run answers to the word.
        ConfigurationError: it cannot be run again as it was; the message says why.
    """
    explicit = {"store": store, "project": project}
    settings = resolve({key: value for key, value in explicit.items() if value is not None})
    with History(settings, read_only=True) as history:
        return _request(history.run(word), arguments, store=store, name=name)


def rerun_here(run: Run, arguments: Sequence[str] | None) -> str:
    """Run a run again, shown on this process's terminal, and return the id of the new run."""
    begun: list[str] = []
    launch_here(_request(run, arguments, store=run.store, name=None), begun.append)
    return begun[0]


def _request(run: Run, arguments: Sequence[str] | None, *, store: str | None, name: str | None) -> LaunchRequest:
    record = run.record
    if record.script_name is None:
        raise ConfigurationError(f"Run {run.id} was no script: there is nothing to run again", key=run.id)
    given = list(record.arguments if arguments is None else arguments)
    if arguments is None and any(HIDDEN in one for one in given):
        raise ConfigurationError(
            f"Run {run.id} had a secret among its arguments, which was not stored: give all arguments anew, after --",
            key=run.id,
        )
    return LaunchRequest(
        script=record.script_name,
        arguments=tuple(given),
        module=bool(record.properties.get("Module")),
        folder=str(Path.cwd()),
        store=store,
        project=record.project,
        experiment=record.experiment,
        name=name,
        source=run.id,
    )
