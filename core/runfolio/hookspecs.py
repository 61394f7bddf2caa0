"""What a plugin may do. This file is the documentation of the hooks, and happens to be code.

A plugin is a module or object registered under the entry-point group ``runfolio``. It implements any of the hooks
below with `hookimpl`, and may leave out arguments it does not need. Later versions add arguments and never rename one.

Observers (the ones that say so) must not stop a training loop: what they raise is reported once with the plugin's
name, and the run goes on. Hooks that decide or veto let their exceptions through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    import click
    import pyarrow as pa

    from runfolio.active_run import ActiveRun
    from runfolio.artifacts import Artifact
    from runfolio.preview import Preview
    from runfolio.run import Run

HOOK_API_VERSION: Final = 1
GROUP: Final = "runfolio"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class RegisterBackend(Protocol):
    """What `runfolio_register_backends` hands to a plugin."""

    def __call__(self, scheme: str, target: str, *, extra: str | None = None) -> None:
        """Announce a backend.

        Args:
            scheme: the URL scheme, for example ``"s3"``. One that ends with ``+`` stands for all that begin with it.
            target: ``"package.module:Class"``. It is imported when a store of this scheme is first opened, not before.
                It is called with the URL and the options of the store, and with ``single_writer=True`` where the user
                has promised that one process at a time writes.
            extra: what to install when that import fails, for example ``"s3"`` for ``pip install 'runfolio[s3]'``.
        """


class RegisterTarget(Protocol):
    """What `runfolio_register_targets` hands to a plugin."""

    def __call__(self, name: str, target: str, *, extra: str | None = None) -> None:
        """Announce a target for tracked runs.

        The arguments are those of `RegisterBackend`, with a name for the scheme.
        """


@hookspec
def runfolio_register_backends(register: RegisterBackend) -> None:
    """Announce backends.

    When: once for each plugin manager, at the first use of a store. Thread: the caller's. Return: nothing. May raise:
    yes, which disables the plugin and names it. A scheme that two plugins register is an error naming both.
    """


@hookspec
def runfolio_register_targets(register: RegisterTarget) -> None:
    """Announce targets, the places where a tracked run can execute.

    When: once for each plugin manager, at the first launch. Thread: the caller's. Return: nothing. May raise: yes.
    """


@hookspec
def runfolio_register_commands(cli: click.Group) -> None:
    """Add commands to the command line. The click group is public contract.

    When: each time the command line starts. Thread: main. Return: nothing. May raise: yes, which disables the plugin
    and names it. Note for implementers: import what a command needs inside its function, so that ``runfolio --help``
    stays fast.
    """


@hookspec(firstresult=True)
def runfolio_convert_value(value: object) -> object | None:
    """Turn a value of a type that Runfolio does not know into one it can log (a scalar, or a list of scalars).

    When: in `run.log`, for values that would otherwise be refused. Thread: the caller's. Return: the converted value,
    or None to decline; the first answer counts. May raise: yes, the exception reaches the caller of `log`.
    """


@hookspec
def runfolio_collect_properties(run: ActiveRun) -> Mapping[str, Any] | None:
    """Contribute to the properties of a run that starts.

    When: once before a run is stored. Thread: the caller's of `start_run`. Return: a flat mapping of JSON values, or
    None. May raise: it is an observer.
    """


@hookspec
def runfolio_run_started(run: ActiveRun) -> None:
    """Observe that a run has started. It may be logged to.

    When: once for each started, resumed or attached run, also offline. Thread: the caller's. May raise: it is an
    observer.
    """


@hookspec
def runfolio_metrics_flushed(run: ActiveRun, batch: pa.RecordBatch) -> None:
    """Observe rows that have reached the store.

    When: after each flush that had new rows, never for one value. Thread: the background one. `batch` has the columns
    of ``docs/format.md``, "Rows". May raise: it is an observer.
    """


@hookspec
def runfolio_artifact_stored(run: ActiveRun, artifact: Artifact) -> None:
    """Observe a file that has reached the store.

    When: once a file, after it can be read. Thread: the background one. May raise: it is an observer.
    """


@hookspec
def runfolio_run_ending(run: ActiveRun) -> None:
    """Observe that a run is about to end. What is logged here still belongs to it.

    When: once, before the end is journaled. Thread: the one that ends the run. May raise: it is an observer.
    """


@hookspec
def runfolio_run_ended(run: ActiveRun) -> None:
    """Observe that a run has ended; all of it is in the store or in the local journal.

    When: once, last. Thread: the one that ends the run. May raise: it is an observer.
    """


@hookspec
def runfolio_promoting(run: Run, artifact: Artifact) -> None:
    """Decide whether an artifact may be promoted. Raise to refuse.

    When: once for each file, before it is verified and a new asset version is published. Thread: the caller's. Return:
    nothing. May raise: that is the veto, and the exception reaches the caller of `Run.promote`.
    """


@hookspec(firstresult=True)
def runfolio_render_artifact(artifact: Artifact) -> Preview | None:
    """Draw a file for people.

    When: someone looks at an artifact. Thread: any. Return: a `runfolio.preview.Preview`, or None to decline; the
    first answer counts. May raise: yes, it is shown in place of the preview.
    """


@hookspec(firstresult=True)
def runfolio_rerun(run: Run, arguments: Sequence[str] | None) -> str | None:
    """Run the source of a run again, to its end.

    When: at `Run.rerun`. Thread: the caller's. `arguments` replace those of the run; None keeps them. Return: the id of
    the new run, or None to decline; the first answer counts. May raise: yes, it reaches the caller.
    """


@hookspec(firstresult=True)
def runfolio_cancel(run: Run) -> bool | None:
    """Ask a run to end, wherever it executes.

    When: at `Run.cancel`, for a run that has not ended. Thread: the caller's. Return: True when it was told, without
    waiting for its end; None to decline, for a run that executes elsewhere; the first answer counts. May raise: yes, it
    reaches the caller.
    """


@hookspec(firstresult=True)
def runfolio_live_log(run: Run) -> Path | None:
    """Find the file in which the output of a run grows.

    When: again and again while somebody follows the output. Thread: the caller's. Return: the file, for as long as the
    run executes on this machine; None to decline, or when that is over; the first answer counts. May raise: yes, it
    reaches the caller.
    """


@hookspec
def runfolio_redact(field: str, value: str) -> str | None:
    """Hide secrets beyond those that Runfolio knows.

    When: before an argument, property, remote or environment value is journaled. Thread: the caller's. `field` says
    what it is. Return: the text to store instead, or None to leave it. Every plugin is asked, each with what the one
    before it returned. May raise: the value is then replaced as a whole.
    """


@hookspec
def runfolio_load_ipython(shell: object) -> None:
    """Add magics to a notebook's shell.

    When: at ``%load_ext runfolio``. Thread: main. Return: nothing. May raise: yes.
    """


ObserverReport = Callable[[str, str, BaseException], None]
"""Called with plugin name, hook name and what was raised."""
