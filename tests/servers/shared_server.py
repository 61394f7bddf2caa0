"""One server for all processes of pytest that run side by side: the first one that asks starts it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


@contextmanager
def shared(
    folder: Path, start: Callable[[Path], AbstractContextManager[dict[str, str]]]
) -> Generator[dict[str, str], None, None]:
    """Use a server that others may use as well, for as long as the context lasts.

    Whoever started it ends it, when nobody else uses it any more.

    Args:
        folder: of the server; all processes name the same one.
        start: starts it in that folder, and gives what others need to know of it.
    """
    folder.mkdir(exist_ok=True)
    known = folder / "known.json"
    with (folder / "gate").open("w") as gate, (folder / "users").open("w") as users:
        fcntl.flock(gate, fcntl.LOCK_EX)
        if known.exists():
            fcntl.flock(users, fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield json.loads(known.read_text())
            return
        with start(folder) as found:
            known.write_text(json.dumps(found))
            fcntl.flock(users, fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
            try:
                yield found
            finally:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_EX)
                known.unlink()
