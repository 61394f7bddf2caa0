"""What can be asked of a launcher from inside its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runfolio.errors import RunfolioError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runfolio import ActiveRun
    from runfolio_plugins.launch.mailbox import Mailbox
    from runfolio_plugins.launch.storing import Capturer


class Desk:
    """Answers requests.

    Args:
        run: the run.
        capturer: stores its outputs.
        mailbox: where requests come in.
        later: has something done in another thread.
        tell: told what was asked.
    """

    def __init__(
        self,
        run: ActiveRun,
        capturer: Capturer,
        mailbox: Mailbox,
        later: Callable[[Callable[[], None]], None],
        tell: Callable[[str], None],
    ) -> None:
        self._run = run
        self._capturer = capturer
        self._mailbox = mailbox
        self._later = later
        self._tell = tell

    @property
    def wake_fd(self) -> int | None:
        """Readable when a request came in."""
        return self._mailbox.wake_fd

    def answer_all(self) -> None:
        """Answer what waits."""
        self._mailbox.answer_all(self._answer)

    def close(self) -> None:
        """Answer what came in last; later requests find nobody."""
        self.answer_all()

    def _answer(self, request: dict[str, Any]) -> Mapping[str, Any] | None:
        kind = request.get("kind")
        try:
            if kind == "metric":
                self._run.log(request["name"], request["value"], step=request.get("step"))
                return {"ok": True}
            if kind == "capture":
                self._later(lambda: self._capture(str(request["token"])))
                return None
        except (RunfolioError, KeyError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": False, "error": f"unknown request {kind!r}"}

    def _capture(self, token: str) -> None:
        try:
            done = self._capturer.capture()
        except (RunfolioError, OSError) as error:
            self._tell(f"a capture failed: {error}")
            self._mailbox.reply(token, {"ok": False, "error": str(error)})
            return
        counts = f"{len(done.stored)} files stored, {len(done.problems)} not, {len(done.waiting)} waiting"
        self._tell(f"captured on request: {counts}")
        answer = {"ok": not done.waiting, "stored": done.stored, "problems": done.problems, "waiting": done.waiting}
        self._mailbox.reply(token, answer)
