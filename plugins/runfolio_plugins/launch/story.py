"""The launcher's own story: what it did, when, and what storage said. It becomes ``logs/control_log.txt``."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

from runfolio.config import redact_text

if TYPE_CHECKING:
    from pathlib import Path


class Story:
    """Lines with a time in front, kept from the first moment and written to a file as soon as there is one.

    Also listens to the loggers of Runfolio: their messages belong to the story, and warnings are shown on stderr, each
    once.

    Args:
        stderr: where warnings are shown; None shows none.
        show_warnings: whether the warnings of the loggers are shown too; not, where somebody else prints them.
    """

    def __init__(self, stderr: TextIO | None = None, *, show_warnings: bool = True) -> None:
        self._stderr = stderr
        self.shows_warnings: Final = show_warnings
        self._lines: list[str] = []
        self._file: TextIO | None = None
        self._lock = threading.RLock()  # a signal handler may tell something while a line is being written
        self._listener: Final = _Listener(self)

    def tell(self, text: str) -> None:
        """Add a line. Secrets in it are hidden: it is stored."""
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {redact_text(text)}\n"
        with self._lock:
            if self._file is None:
                self._lines.append(line)
                return
            try:
                self._file.write(line)
                self._file.flush()
            except (OSError, ValueError):
                return  # a full disk must not stop a run

    def warn(self, text: str) -> None:
        """Add a line, and show it on stderr."""
        self.tell(f"warning: {text}")
        self.show(f"runfolio: {text}")

    def show(self, text: str) -> None:
        """Show a line on stderr only."""
        if self._stderr is not None:
            try:
                print(text, file=self._stderr, flush=True)
            except (OSError, ValueError):
                self._stderr = None  # nobody looks any more

    def write_to(self, path: Path) -> None:
        """Go on in a file, with what was told so far."""
        with self._lock:
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")
            self._file.writelines(self._lines)
            self._file.flush()
            self._lines.clear()

    def listen(self) -> None:
        """Begin to listen to the loggers of Runfolio. The launcher is a program of its own; the SDK never does this."""
        logger = logging.getLogger("runfolio")
        logger.addHandler(self._listener)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)

    def close(self) -> None:
        """Stop listening and close the file."""
        logging.getLogger("runfolio").removeHandler(self._listener)
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


class _Listener(logging.Handler):
    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._story.tell(f"{record.levelname.lower()}: {text}")
        if self._story.shows_warnings and record.levelno >= logging.WARNING and text not in self._shown:
            self._shown.add(text)
            message = record.getMessage().removeprefix("runfolio: ")
            self._story.show(f"runfolio: {message}")
