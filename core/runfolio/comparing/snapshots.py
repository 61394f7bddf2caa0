"""The sources of runs to compare, read from their snapshots in the store."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from runfolio.comparing.sources import LARGEST
from runfolio.errors import ConfigurationError, FormatError, NotFoundError
from runfolio.restoring import open_source_of
from runfolio.snapshot.objects import FILE, FOLDER

if TYPE_CHECKING:
    from runfolio.comparing.sources import Source
    from runfolio.run import Run
    from runfolio.snapshot.objects import Entry
    from runfolio.snapshot.reading import StoredSource


class SnapshotSource:
    """The source of one run. It lasts as long as what was fetched.

    Args:
        stored: what was fetched, and verified.
    """

    def __init__(self, stored: StoredSource) -> None:
        self._stored = stored
        self._entries = {_shown(one.path): one for one in stored.entries if one.mode != FOLDER}

    def files(self) -> Mapping[str, str]:
        """Return the id of each file, with its mode in front where it is no plain file."""
        return {path: _identity(entry) for path, entry in self._entries.items()}

    def read(self, path: str) -> bytes:
        """Return the contents of a file, as far as a comparison by lines goes; for a link what it points to."""
        found = bytearray()
        for chunk in self._stored.chunks(self._entries[path]):
            found += chunk
            if len(found) > LARGEST:
                break
        return bytes(found)


@contextmanager
def sources_of(runs: Sequence[Run]) -> Generator[tuple[list[Source | None] | None, list[str]]]:
    """Fetch the sources of runs (3 requests and 2 for each pack, for each source that is another).

    Yields the source of each run, None for those without; None altogether where there is nothing to compare, since no
    run has a source, or all have the same. And what could not be fetched, with the reason.

    Raises:
        StorageError: the storage failed.
        OSError: there is no room for it on this machine.
    """
    commits = [run.record.commit_id for run in runs]
    if len(set(commits)) < 2:  # noqa: PLR2004 (a comparison has two sides)
        yield None, []
        return
    found: dict[str, Source | None] = {}
    problems: list[str] = []
    with ExitStack() as stack:
        for run, commit in zip(runs, commits, strict=True):
            if commit is None:
                problems.append(f"run {run.id} has no source to compare")
            elif commit not in found:
                try:
                    found[commit] = SnapshotSource(stack.enter_context(open_source_of(run)))
                except (NotFoundError, FormatError, ConfigurationError) as error:
                    found[commit] = None
                    problems.append(f"the source of run {run.id} cannot be compared: {error}")
        yield [None if commit is None else found[commit] for commit in commits], problems


def _shown(path: str) -> str:
    """A path as a text: bytes that are none are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _identity(entry: Entry) -> str:
    return entry.sha if entry.mode == FILE else f"{entry.mode:06o} {entry.sha}"
