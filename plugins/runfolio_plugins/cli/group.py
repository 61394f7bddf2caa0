"""The group that all commands hang on: lazy ones, a plugin's own by name, and what happens when one fails."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from runfolio_plugins.cli.failures import INTERRUPTED, exit_code_of, report

if TYPE_CHECKING:
    from runfolio.plugins import Plugins

OWN: Final = "cli"
"""The entry point that our own commands belong to."""
_STATE: Final = "runfolio_plugins.cli.state"


class Command(click.Command):
    """A command whose help ends with examples, printed as they are written."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the help."""
        super().format_epilog(ctx, formatter)
        write_examples(self.examples, formatter)


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """Write example lines below a help text."""
    lines = [line.strip() for line in examples.strip().splitlines()]
    if lines and lines[0]:
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class State:
    """What the options of any command set for the whole program."""

    def __init__(self) -> None:
        self.debug = False
        self.output_format: str | None = None
        self.plugins: Plugins | None = None


def state() -> State:
    """Return the state of the program that runs now; outside of one, a fresh one."""
    context = click.get_current_context(silent=True)
    if context is None:
        return State()
    found: State = context.meta.setdefault(_STATE, State())
    return found


class CommandGroup(click.Group):
    """A group that knows lazy commands and which plugin each command belongs to.

    Plugins use it as the `click.Group` it is. What Runfolio raises on purpose is printed as one line, by `main`.
    """

    def __init__(self, *args: Any, plugins: Plugins | None = None, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy: dict[str, tuple[str, str]] = {}
        self._owners: dict[str, str] = {}
        self._registering = OWN
        self._plugins = plugins
        self._examples = examples

    def add_lazy_command(self, name: str, target: str, short_help: str) -> None:
        """Add a command that is imported when it is used.

        Args:
            name: the word on the command line.
            target: ``"package.module:attribute"`` of a click command.
            short_help: its line in the help of the group.
        """
        self._claim(name)
        self._lazy[name] = (target, short_help)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command.

        Raises:
            ValueError: another plugin has a command of this name.
        """
        if name or cmd.name:
            self._claim(str(name or cmd.name))
        super().add_command(cmd, name)

    def _claim(self, name: str) -> None:
        owner = self._owners.get(name)
        if owner is not None and owner != self._registering:
            raise ValueError(f"the command {name!r} exists already: it belongs to the plugin {owner!r}")
        self._owners[name] = self._registering

    def register_from(self, plugin: str, hook: Callable[[], object]) -> None:
        """Let a plugin add its commands. What it adds before it fails is taken back.

        Raises:
            Exception: whatever the plugin raised.
        """
        before = dict(self.commands), dict(self._lazy), dict(self._owners)
        self._registering = plugin
        try:
            hook()
        except BaseException:
            self.commands, self._lazy, self._owners = before
            raise
        finally:
            self._registering = OWN

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names of all commands, none of them imported."""
        return sorted({*self.commands, *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if it is a lazy one; None when there is none."""
        if cmd_name not in self.commands and cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            self.commands[cmd_name] = getattr(importlib.import_module(module), attribute)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that arguments begin with; for a misspelt one, say what was meant."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches  # noqa: PLC0415 (only for a mistake)

            near = get_close_matches(args[0], known, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else " See runfolio --help."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one line for each command."""
        rows = []
        for name in self.list_commands(ctx):
            if name in self._lazy:
                rows.append((name, self._lazy[name][1]))
            elif (command := self.get_command(ctx, name)) is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the help."""
        super().format_epilog(ctx, formatter)
        write_examples(self._examples, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, after making the state that options set."""
        ctx.meta.setdefault(_STATE, State()).plugins = self._plugins
        return super().parse_args(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,  # noqa: ARG002 (click's signature)
        **extra: Any,
    ) -> Any:
        """Run the program: parse, execute, and turn what went wrong into a line on standard error and an exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        words = list(sys.argv[1:] if args is None else args)
        name = prog_name or "runfolio"
        self._complete(name, complete_var, extra)
        return self._execute(words, name, extra)

    def _complete(self, name: str, variable: str | None, extra: dict[str, Any]) -> None:
        variable = variable or f"_{name}_COMPLETE".replace("-", "_").upper()
        instruction = os.environ.get(variable)
        if instruction:
            from click.shell_completion import shell_complete  # noqa: PLC0415 (only when a shell asks)

            sys.exit(shell_complete(self, extra, name, variable, instruction))

    def _execute(self, words: list[str], name: str, extra: dict[str, Any]) -> NoReturn:
        holder = State()
        code = 0
        try:
            with self.make_context(name, words, **extra) as context:
                holder = context.meta[_STATE]
                self.invoke(context)
                sys.stdout.flush()
        except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 (the top of the program: everything is reported)
            code = exit_code_of(error)
            try:
                report(error, debug=holder.debug, owner=self._owner(words))
            except KeyboardInterrupt:
                code = INTERRUPTED
        sys.exit(code)

    def _owner(self, words: list[str]) -> str | None:
        """The plugin that the command on this command line belongs to, None for our own."""
        command = next((word for word in words if not word.startswith("-")), "")
        owner = self._owners.get(command)
        return None if owner in (None, OWN) else owner
