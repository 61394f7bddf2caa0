"""The folder that holds the journals of this machine.

::

    <spool>/<run id, encoded>.<writer key>/     0700, one folder a writer
        lock                                    held by the process that writes, or recovers
        events-<n>-<salt>.log                   what the store protocol journals before its requests; one file an owner
        rows-<salt>.log                         what was logged
        staged/                                 files on their way to the store

A journal is recovered only when its process is dead and was this user's on this machine; the lock decides between two
that want it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from runfolio._platform import FileLock, boot_id, host_name, is_alive, process_start, user_name
from runfolio.errors import FormatError
from runfolio.layout import run_folder

if TYPE_CHECKING:
    from runfolio.journal.encoding import Convert
    from runfolio.journal.writer import JournalWriter

FORMAT: Final = 1
"""Version of the journal's format."""
LOCK: Final = "lock"
STAGED: Final = "staged"
_FILE: Final = re.compile(r"(?:events-(?P<number>[0-9]{4,})|rows)-(?P<salt>[0-9a-f]{8})\.log")


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal is about, and which process wrote it: its first event.

    Attributes:
        run_id: the run.
        uid: the run's uid, fixed before the first request.
        writer: the writer key.
        project: the project's name.
        store: URL of the store, without credentials; "" when none is known.
        host: name of the machine.
        boot: one start of the machine.
        pid: the process that writes.
        process: when that process started, as `runfolio._platform.process_start` tells.
        user: who it runs as.
        format: version of the journal's format.
    """

    run_id: str
    uid: str
    writer: str
    project: str
    store: str
    host: str
    boot: str
    pid: int
    process: str
    user: str
    format: int = FORMAT

    @classmethod
    def here(cls, *, run_id: str, uid: str, writer: str, project: str, store: str) -> Self:
        """The header of a journal that this process writes."""
        pid = os.getpid()
        return cls(
            run_id=run_id, uid=uid, writer=writer, project=project, store=store,
            host=host_name(), boot=boot_id(), pid=pid, process=process_start(pid) or "", user=user_name(),
        )  # fmt: skip

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Self:
        """The header that `to_dict` wrote; fields of later versions are left out.

        Raises:
            FormatError: it was written by a later version that this one cannot read, or is no header.
        """
        if body.get("format", 0) > FORMAT:
            raise FormatError(
                f"The journal of {body.get('run_id')!r} has format {body['format']}; "
                f"this Runfolio reads up to {FORMAT}: upgrade it"
            )
        try:
            return cls(**{one.name: body[one.name] for one in fields(cls)})
        except KeyError as error:
            raise FormatError(f"The header of a journal lacks {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The header as the body of an event."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Whether the process that wrote this ran on this machine as this user, and is no more."""
        if (self.host, self.user) != (host_name(), user_name()):
            return False
        return self.boot != boot_id() or not is_alive(self.pid, self.process)


class JournalFiles:
    """The files of one journal."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder

    def events(self) -> list[Path]:
        """The files of events, oldest first."""
        found = ((_FILE.fullmatch(one.name), one) for one in self.folder.iterdir())
        return [path for _, path in sorted((int(m["number"]), path) for m, path in found if m and m["number"])]

    def new_events(self) -> Path:
        """A name for a further file of events. A torn tail of an older one is never written behind."""
        number = max((int(_FILE.fullmatch(one.name)["number"]) for one in self.events()), default=0)  # type: ignore[index]  # events() matched it
        return self.folder / f"events-{number + 1:04d}-{new_salt():08x}.log"

    def rows(self, salt: int | None = None) -> Path:
        """The file of rows; with a salt, the name that a new one gets.

        Raises:
            FileNotFoundError: there is none.
        """
        if salt is not None:
            return self.folder / f"rows-{salt:08x}.log"
        for one in sorted(self.folder.glob("rows-*.log")):
            if _FILE.fullmatch(one.name):
                return one
        raise FileNotFoundError(f"{self.folder} has no file of rows")


def new_salt() -> int:
    """A start value for the crcs of a file."""
    return secrets.randbits(32)


def salt_of(path: Path) -> int:
    """The salt that the name of a journal file carries.

    Raises:
        FormatError: it is no journal file.
    """
    found = _FILE.fullmatch(path.name)
    if not found:
        raise FormatError(f"{path} is not a file of a journal", key=str(path))
    return int(found["salt"], 16)


class Spool:
    """The journals under one folder. Nothing is created before the first journal.

    Args:
        root: the folder; it should be on a local disk, and on a volume that outlives the container.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root

    def folder(self, run_id: str, writer: str) -> Path:
        """The folder of one journal."""
        return self.root / f"{run_folder(run_id).rsplit('/', 2)[1]}.{writer}"

    def create(
        self,
        header: Header,
        *,
        convert: Convert | None = None,
        on_fork: Callable[[], JournalWriter] | None = None,
        wake: Callable[[], None] | None = None,
        steps: Mapping[str, int] | None = None,
        fsync: bool = False,
    ) -> tuple[JournalWriter, FileLock]:
        """Begin the journal of a new writer. The keywords are those of `JournalWriter`.

        Returns:
            The writer, and the lock that says that it lives.

        Raises:
            OSError: the folder cannot be written.
        """
        from runfolio.journal.writer import JournalWriter  # noqa: PLC0415  (the writer knows the spool)

        folder = self.folder(header.run_id, header.writer)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        lock = FileLock(folder / LOCK)
        lock.acquire()
        try:
            writer = JournalWriter(
                folder, header, convert=convert, on_fork=on_fork, wake=wake, steps=steps, fsync=fsync
            )
        except BaseException:
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return writer, lock

    def journals(self) -> Iterator[Path]:
        """The folders of all journals, oldest name first, living ones too."""
        if self.root.is_dir():
            yield from sorted(one for one in self.root.iterdir() if one.is_dir() and not one.name.startswith("."))

    def __repr__(self) -> str:
        return f"<Spool {self.root}>"
