"""A tracked run in the background: a launcher of its own, in a session of its own, that outlives the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from runfolio.errors import RunfolioError
from runfolio_plugins.launch.request import LaunchRequest, locate, refuse_wild_root

if TYPE_CHECKING:
    from typing import TextIO

_MODULE: Final = "runfolio_plugins.launch.background"
_READY: Final = "ready"


def launch_detached(request: LaunchRequest) -> int:
    """Start a tracked run in the background. Returns when its working copy is made: the project may then be edited.

    Returns:
        0, or the exit code of the launcher when the run could not begin.

    Raises:
        ConfigurationError: there is nothing to run, or the configuration is wrong.
    """
    located = locate(request)
    if not request.in_place:
        refuse_wild_root(located)
    sys.stdout.flush()
    command = [sys.executable, "-m", _MODULE]
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", creationflags=flags
        )
    else:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin:
        process.stdin.write(request.to_json())
    for line in process.stdout:
        message = json.loads(line)
        if _READY in message:
            process.stdout.close()
            process.returncode = 0  # it goes on without us: the interpreter must not complain about that
            return 0
        print(message["say"], flush=True)  # noqa: T201 (what the run says of itself)
    return process.wait() or 1


def main() -> int:
    """The background process: execute the request that stdin holds, and speak to the parent until the script begins."""
    from runfolio_plugins.launch.launcher import launch, silent_screen  # noqa: PLC0415 (the parent needs it not)
    from runfolio_plugins.launch.story import Story  # noqa: PLC0415 (likewise)

    request = LaunchRequest.from_json(sys.stdin.read())
    voice: TextIO | None = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    heard: list[TextIO | None] = [voice]

    def send(message: dict[str, object]) -> None:
        if heard[0] is not None:
            try:
                print(json.dumps(message), file=heard[0], flush=True)
            except OSError:
                heard[0] = None

    def say(text: str) -> None:
        if text.startswith("RunId:") and heard[0] is not None:
            send({"say": text.rstrip("\n")})

    def ready() -> None:
        send({_READY: True})
        _leave_terminal()
        if heard[0] is not None:
            heard[0].close()
            heard[0] = None

    story = Story(sys.stderr, show_warnings=True)
    story.listen()
    try:
        return launch(locate(request), silent_screen(say, ready), story)
    except RunfolioError as error:
        story.show(f"Error: {error}")
        return 1
    finally:
        story.close()


def _leave_terminal() -> None:
    """Let go of everything that ties this process to where it was started."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
