"""The source of a tracked run: what belongs to the project, and the snapshot of it that goes with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runfolio.config import store_address
from runfolio.restoring import open_source_of
from runfolio.snapshot import ProjectFiles, look_through, printable
from runfolio_plugins.launch.request import is_wild_root
from runfolio_plugins.launch.workspace import working_folder

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.snapshot import Snapshot
    from runfolio.snapshot.reading import StoredSource
    from runfolio_plugins.launch.request import Located
    from runfolio_plugins.launch.story import Story
    from runfolio_plugins.launch.working_copy import WorkingCopy

_SHOWN: Final = 10


def files_of(located: Located) -> ProjectFiles:
    """Return what the project of a run consists of: neither the store nor the folders of runs, where they lie in it."""
    working = working_folder(located.settings)
    exclude = [working, *(working.parent / name for name in ("share", "snapshots", "spool"))]
    store = store_address(located.settings).path
    if store is not None:
        exclude.append(store)
    return look_through(located.root, exclude=exclude, capture=located.capture)


def take_snapshot(history: History, located: Located, files: ProjectFiles, story: Story) -> Snapshot | None:
    """Take the snapshot of a run; None when there is to be none, or there is no room for it.

    Raises:
        ConfigurationError: the project is too large; the message names the largest files.
    """
    settings = located.settings
    if settings.mode == "disabled" or settings.snapshot_mode == "off":
        return None
    if is_wild_root(located):
        story.tell(f"no source is stored: {located.root} is no project")
        return None
    try:
        snapshot = history.take_snapshot(files)
    except OSError as error:
        story.warn(f"the source of the project is not stored: {error}")
        return None
    _tell(snapshot, story)
    return snapshot


def open_source(history: History, located: Located) -> StoredSource | None:
    """Fetch the source of the run that is run again; None when it is the project as it is.

    Raises:
        NotFoundError: there is no such run, or its source is not in the store.
        FormatError: its source is damaged or incomplete.
    """
    word = located.request.source
    return None if word is None else open_source_of(history.run(word))


def _tell(snapshot: Snapshot, story: Story) -> None:
    size = sum(entry.size for entry in snapshot.entries)
    news = "nothing new" if snapshot.unchanged else "the store gets what is new"
    story.tell(f"source {snapshot.commit}: {len(snapshot.entries):,} files, {size:,} bytes; {news}")
    for path, reason in snapshot.left_out:
        story.tell(f"  not in the source: {printable(path)}: {reason}")
    if snapshot.too_large:
        named = [printable(path) for path in snapshot.too_large[:_SHOWN]]
        rest = len(snapshot.too_large) - len(named)
        story.show(
            f"runfolio: too large for the source snapshot: {', '.join(named)}{f' and {rest:,} more' if rest else ''}; "
            "name data in .runfolioignore, or raise snapshot.untracked_limit"
        )


def differing(snapshot: Snapshot, copy: WorkingCopy) -> list[str]:
    """Return files that were edited between the snapshot and the copy: what runs is not what is stored."""
    return [path for path, state in snapshot.states.items() if copy.baseline.get(path, state) != state]
