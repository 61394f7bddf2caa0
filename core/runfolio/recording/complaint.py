"""What the user is told of a store in trouble: once, whichever of the processes of a run on this machine finds it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

_log: Final = logging.getLogger("runfolio")
VARIABLE: Final = "RUNFOLIO_COMPLAINT"
"""Names the file to the processes that a run starts."""
_RUN: Final = "RUNFOLIO_RUN_ID"
_FILE: Final = "told"


class Complaint:
    """Trouble of one run with its store.

    Args:
        file: is there while the user knows of the trouble. All processes of the run that see it share one complaint.
    """

    def __init__(self, file: Path) -> None:
        self.file: Final = file

    @classmethod
    def of(cls, run_id: str, journal: Path) -> Complaint:
        """The complaint of a writer: that of the process which started it for this run, else one of its own."""
        inherited = os.environ.get(VARIABLE) if os.environ.get(_RUN) == run_id else None
        return cls(Path(inherited) if inherited else journal / _FILE)

    def tell(self, text: str, *arguments: object) -> None:
        """Warn of the trouble; where the user knows of it, the message is for those who look closer."""
        try:
            os.close(os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            _log.info(text, *arguments)
        except OSError:  # of another machine, or of a process that is gone: nobody else tells
            _log.warning(text, *arguments)
        else:
            _log.warning(text, *arguments)

    def settle(self) -> None:
        """The trouble is over: say so, if nobody has done it yet."""
        try:
            self.file.unlink()
        except OSError:
            return
        _log.warning("runfolio: the store answers again; everything logged is being stored")
