"""The files of a run by the names people use for them, and printing one to standard output."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

from runfolio.errors import ArtifactNotFoundError, InvalidValueError
from runfolio_plugins.cli.escaping import escape_log

if TYPE_CHECKING:
    from runfolio.artifacts import Artifact
    from runfolio.run import Run

_CHUNK: Final = 256 * 1024
_LONGEST_COLOUR: Final = 32


def find_file(run: Run, name: str) -> Artifact:
    """Return the file that a name stands for: its path, ``driver_log`` for a log, or a path below ``outputs/``.

    Raises:
        ArtifactNotFoundError: there is none, or the name fits several. The message names what the run has.
    """
    files = run.artifacts.list()
    wanted = name.removeprefix("./")
    for path in (wanted, f"logs/{wanted}", f"logs/{wanted}.txt", f"outputs/{wanted}"):
        for one in files:
            if one.path == path:
                return one
    by_name = [one for one in files if one.path.rsplit("/", 1)[1] == wanted]
    if len(by_name) == 1:
        return by_name[0]
    raise ArtifactNotFoundError(_missing(run, name, files, by_name), key=name)


def find_paths(run: Run, names: Sequence[str]) -> list[str]:
    """Return the paths that names stand for; a folder stands for itself.

    Raises:
        ArtifactNotFoundError: one of them is not in the run.
    """
    paths = [one.path for one in run.artifacts.list()]
    found = []
    for name in names:
        folder = name.removeprefix("./").rstrip("/")
        inside = [
            option for option in (folder, f"outputs/{folder}") if any(path.startswith(f"{option}/") for path in paths)
        ]
        found.append(inside[0] if inside else find_file(run, name).path)
    return found


def _missing(run: Run, name: str, files: Sequence[Artifact], several: Sequence[Artifact]) -> str:
    if several:
        paths = ", ".join(one.path for one in several[:10])
        return f"{name!r} fits several files of run {run.id}: {paths}. Give the whole path"
    if not files:
        live = "" if run.record.ended else f" yet; it is {run.status}, and files are stored when a run ends"
        return f"Run {run.id} has no file {name!r}: it has no files{live}"
    more = f" and {len(files) - 20} more" if len(files) > 20 else ""  # noqa: PLR2004 (a few lines' worth)
    return f"Run {run.id} has no file {name!r}. It has: {', '.join(one.path for one in files[:20])}{more}"


def print_file(artifact: Artifact) -> None:
    """Write a file to standard output, byte by byte; to a terminal only text, its escape sequences shown, not sent.

    Raises:
        InvalidValueError: it is not text, and standard output is a terminal.
    """
    if sys.stdout.isatty():
        with artifact.open() as file:
            _print_text(artifact.path, file)
        return
    sys.stdout.flush()
    with artifact.open() as file:
        while chunk := file.read(_CHUNK):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


class LogPrinter:
    """Writes a log to standard output piece by piece: byte by byte, and to a terminal such that it stays harmless."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")
        self._waiting = ""

    def write(self, chunk: bytes, *, last: bool = False) -> None:
        """Write what comes next."""
        if not self._terminal:
            sys.stdout.buffer.write(chunk)
            return
        text = self._waiting + self._decoder.decode(chunk, final=last)
        # An escape sequence may be cut by the chunk's end: its beginning waits for the rest.
        cut = -1 if last else text.rfind("\x1b", max(len(text) - _LONGEST_COLOUR, 0))
        text, self._waiting = (text[:cut], text[cut:]) if cut >= 0 else (text, "")
        sys.stdout.write(escape_log(text))

    def flush(self) -> None:
        """Show what was written."""
        sys.stdout.flush()

    def close(self) -> None:
        """Write what waited for more."""
        self.write(b"", last=True)
        self.flush()


def _print_text(path: str, file: BinaryIO) -> None:
    first = file.read(_CHUNK)
    if _binary(first):
        raise InvalidValueError(
            f"{path} is not text, and standard output is a terminal: send it to a file (… > FILE), "
            f"or use runfolio download",
            key=path,
        )
    chunk, printer = first, LogPrinter()
    while chunk:
        printer.write(chunk)
        chunk = file.read(_CHUNK)
    printer.close()


def _binary(beginning: bytes) -> bool:
    """Whether this is no text: a NUL byte, or not UTF-8 (a letter may be cut at the end)."""
    if b"\0" in beginning:
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return True
    return False
