"""``%runfolio``: whether cells are recorded, and a look at the run while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import MagicArgumentParser
from IPython.display import display

from runfolio.current import current_run
from runfolio.errors import RunfolioError
from runfolio_plugins.notebook.history_logging import logging_of

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

ENABLED: Final = "History logging enabled"
DISABLED: Final = "History logging disabled"
IS_ENABLED: Final = "History logging is enabled"
IS_DISABLED: Final = "History logging is disabled"


def _parser() -> MagicArgumentParser:
    parser = MagicArgumentParser(prog="%runfolio", add_help=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="on|off|show|live")
    on = commands.add_parser("on", add_help=False)
    on.add_argument("--per", choices=["session", "cell"], default="session")
    on.add_argument("--experiment")
    commands.add_parser("off", add_help=False)
    for name in ("show", "live"):
        commands.add_parser(name, add_help=False).add_argument("metrics", nargs="*")
    commands.choices["live"].add_argument("--total", type=int)
    return parser


@magics_class
class RunfolioMagics(Magics):
    """The magic, for one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._logging = logging_of(shell)

    @line_magic
    def runfolio(self, line: str) -> None:
        """Record this notebook as runs.

        ::

            %runfolio on [--per session|cell] [--experiment NAME]
            %runfolio off
            %runfolio show [METRIC ...]
            %runfolio live [METRIC ...] [--total STEPS]

        ``on`` starts one run for the session, or with ``--per cell`` one for each cell that is executed;
        ``runfolio.get_logger()`` gives it. ``show`` says whether it is on and shows the run, or curves of it. ``live``
        shows curves that grow while a run of this process logs, and with ``--total`` how far it has come.
        """
        options = cast("Namespace", _parser().parse_argstring(line))
        try:
            getattr(self, f"_{options.command}")(options)
        except RunfolioError as error:  # what to do next is in the message, and IPython's trace is no help
            raise UsageError(str(error)) from error

    def _on(self, options: Namespace) -> None:
        already = self._logging.per is not None
        self._logging.on(options.per, options.experiment)
        print(IS_ENABLED if already else ENABLED)  # noqa: T201 (the answer of the magic)
        if self._logging.per == "session":
            display(self._logging.run)

    def _off(self, _options: Namespace) -> None:
        self._logging.off()
        print(DISABLED)  # noqa: T201 (the answer of the magic)

    def _show(self, options: Namespace) -> None:
        print(IS_ENABLED if self._logging.per else IS_DISABLED)  # noqa: T201 (the answer of the magic)
        run = current_run() or self._logging.run
        if run is None:
            return
        if not run.finished:
            run.flush()
        display(*(run.metric(name) for name in options.metrics))
        if not options.metrics:
            display(run)

    def _live(self, options: Namespace) -> None:
        from runfolio_plugins.notebook.live import show_live  # noqa: PLC0415 (loads pyarrow)

        if options.total is not None and options.total < 1:
            raise UsageError(f"--total is {options.total}: give how many steps there will be, 1 or more")
        show_live(options.metrics, options.total)
