"""``%azureml history`` and ``%azureml upload``, with the words and answers of Azure ML Workbench."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from runfolio.current import current_run
from runfolio.errors import RunfolioError
from runfolio_plugins.notebook.history_logging import logging_of
from runfolio_plugins.notebook.magics import DISABLED, ENABLED, IS_DISABLED, IS_ENABLED

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_USAGE: Final = "Use %azureml history on|off|show or %azureml upload outputs/FILE"
_OUTPUTS: Final = "outputs"


@magics_class
class AzuremlMagics(Magics):
    """The magic, for one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._logging = logging_of(shell)

    @line_magic
    def azureml(self, line: str) -> None:
        """Record each cell that is executed as a run of its own, or send a file of the folder ``outputs``.

        ::

            %azureml history on|off|show
            %azureml upload outputs/model.pkl
        """
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        try:
            if word == "history" and rest in ("on", "off", "show"):
                self._history(rest)
            elif word == "upload" and rest:
                self._upload(rest)
            else:
                raise UsageError(_USAGE)
        except RunfolioError as error:  # what to do next is in the message, and IPython's trace is no help
            raise UsageError(str(error)) from error

    def _history(self, word: str) -> None:
        if word == "on":
            self._logging.on("cell")
            print(ENABLED)  # noqa: T201 (the answer of the magic)
        elif word == "off":
            self._logging.off()
            print(DISABLED)  # noqa: T201 (the answer of the magic)
        else:
            print(IS_ENABLED if self._logging.per else IS_DISABLED)  # noqa: T201 (the answer of the magic)

    @staticmethod
    def _upload(path: str) -> None:
        if PurePosixPath(path.replace("\\", "/")).parts[:1] != (_OUTPUTS,):
            raise UsageError(f"{path} is not in the folder {_OUTPUTS}: only files below it can be sent")
        run = current_run()
        if run is None:
            raise UsageError(f"{IS_DISABLED}: there is no run to send a file to. Say %azureml history on before")
        run.log_artifact(path, name=path.replace("\\", "/"))
