"""The program itself: help, exit codes, errors, and plugins that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from runfolio.errors import RunNotFoundError
from runfolio.hookspecs import hookimpl
from runfolio.plugins import Plugins
from runfolio_plugins import cli as cli_plugin
from runfolio_plugins.cli.catalogue import COMMANDS
from runfolio_plugins.cli.program import build

if TYPE_CHECKING:
    from runfolio_plugins.cli.group import CommandGroup

Invoke = Callable[..., Result]


class Stranger:
    """A plugin of somebody else."""

    def __init__(self, register: Callable[[click.Group], None]) -> None:
        self.register = register

    @hookimpl
    def runfolio_register_commands(self, cli: click.Group) -> None:
        """Do what the test says."""
        self.register(cli)


def program(register: Callable[[click.Group], None], name: str = "stranger") -> CommandGroup:
    """Return the program with our commands and those of a stranger."""
    plugins = Plugins(disabled=["*"])
    plugins.register(Stranger(register), name)
    plugins.register(cli_plugin, "cli")
    return build(plugins)


def raising(error: BaseException) -> Callable[[click.Group], None]:
    """Return a registration of the command ``shout``, which raises."""

    def register(cli: click.Group) -> None:
        @cli.command("shout")
        def shout() -> None:
            """Shout."""
            raise error

    return register


def test_help_lists_every_command_without_loading_what_it_needs() -> None:
    code = (
        "import sys, runfolio_plugins.cli as c\nsys.argv = ['runfolio', '--help']\ntry: c.main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert {"click", "runfolio"} <= loaded
    assert {"pyarrow", "rich", "jmespath", "numpy", "fsspec", "lark", "dulwich", "platformdirs"} & loaded == set()
    assert "runfolio_plugins.cli.commands" not in done.stderr
    listed = {line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()}
    assert set(COMMANDS) <= listed


def test_our_plugin_loads_no_click_for_those_who_only_embed() -> None:
    code = "import sys, runfolio_plugins.cli; print('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


STORE = ("store check", "store info", "store repair", "store gc")
ASSETS = tuple(f"assets {name}" for name in ("list", "info", "download", "alias", "link", "retract"))


@pytest.mark.parametrize("name", [*COMMANDS, *STORE, *ASSETS])
def test_each_command_has_help_with_examples(invoke: Invoke, name: str) -> None:
    texts = [invoke(*name.split(), flag).stdout for flag in ("-h", "--help")]
    assert texts[0] == texts[1]
    assert "Examples:\n  " in texts[0]
    assert f"runfolio {name.split(maxsplit=1)[0]}" in texts[0].split("Examples:")[1]
    if name not in {"assets", "completion", "store"}:
        assert "--debug" in texts[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_the_group_is_that_of_the_command(name: str) -> None:
    command = build(Plugins(disabled=["*"], extra=[cli_plugin])).get_command(click.Context(click.Group()), name)
    assert command is not None
    first = " ".join((command.help or "").split("\n\n")[0].split())
    assert first.split(",")[0].split(".")[0] == COMMANDS[name][1].split(",")[0].split(":")[0].rstrip(".") or first


def test_the_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout.startswith("runfolio 0.")


def test_a_misspelt_command_is_a_usage_error_that_helps(invoke: Invoke) -> None:
    assert "Did you mean list" in invoke("lst", code=2).stderr
    assert "runfolio --help" in invoke("xyzzy", code=2).stderr


def test_a_wrong_option_is_a_usage_error(invoke: Invoke) -> None:
    assert "--lmit" in invoke("list", "--lmit", "3", code=2).stderr
    assert invoke("list", "-o", "yaml", code=2).stderr


def test_a_command_of_a_plugin_is_one_of_ours(runner: CliRunner) -> None:
    def register(cli: click.Group) -> None:
        cli.add_command(click.Command("greet", callback=lambda: click.echo("hello"), help="Say hello."))

    group = program(register)
    assert "greet       Say hello." in runner.invoke(group, ["-h"]).stdout
    assert runner.invoke(group, ["greet"]).stdout == "hello\n"


def test_a_plugin_that_cannot_register_is_named_and_the_rest_works(runner: CliRunner) -> None:
    def register(cli: click.Group) -> None:
        cli.add_command(click.Command("half"))
        raise RuntimeError("broken \x1b[2J")

    with runner.isolation() as streams:
        group = program(register)
        said = streams[1].getvalue().decode()
    assert "'stranger'" in said
    assert "RuntimeError: broken \\x1b[2J" in said
    shown = runner.invoke(group, ["--help"])
    assert shown.exit_code == 0
    assert "half" not in shown.stdout
    assert "compare" in shown.stdout


def test_a_plugin_that_takes_our_name_is_refused(runner: CliRunner) -> None:
    with runner.isolation() as streams:
        # "aaa" sorts before our own entry point: order must not decide.
        group = program(lambda cli: cli.add_command(click.Command("list")), "aaa")
        said = streams[1].getvalue().decode()
    assert "'aaa'" in said
    assert "'list'" in said
    assert "newest first" in runner.invoke(group, ["list", "-h"]).stdout


def test_two_plugins_with_one_name_are_told_apart(runner: CliRunner) -> None:
    plugins = Plugins(disabled=["*"])
    for name in ("one", "two"):
        plugins.register(Stranger(raising(ValueError())), name)
    with runner.isolation() as streams:
        build(plugins)
        said = streams[1].getvalue().decode()
    assert "the commands of the plugin 'two' are left out" in said
    assert "belongs to the plugin 'one'" in said


def test_a_plugin_whose_command_fails_is_named(runner: CliRunner) -> None:
    result = runner.invoke(program(raising(KeyError("x"))), ["shout"])
    assert result.exit_code == 1
    assert (
        result.stderr == "Error: The plugin 'stranger' failed: KeyError: 'x'\nThe option --debug shows the traceback.\n"
    )


def test_debug_shows_the_traceback(runner: CliRunner) -> None:
    result = runner.invoke(program(raising(KeyError("x"))), ["--debug", "shout"])
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "The option --debug" not in result.stderr


def test_an_error_of_ours_is_one_line_with_its_notes(runner: CliRunner) -> None:
    error = RunNotFoundError("There is no run 'x\x1b[2J'")
    error.add_note("look elsewhere")
    result = runner.invoke(program(raising(error)), ["shout"])
    assert (result.exit_code, result.stderr) == (1, "Error: There is no run 'x\\x1b[2J'\nlook elsewhere\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.Abort(), 1, "Nothing was done."),
        (click.UsageError("no"), 2, "no"),
        (click.ClickException("no"), 1, "Error: no"),
        (click.exceptions.Exit(7), 7, ""),
        (SystemExit(5), 5, ""),
        (OSError(28, "No space left on device"), 1, "Error: [Errno 28] No space left on device"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_exit_codes(runner: CliRunner, error: BaseException, code: int, said: str) -> None:
    result = runner.invoke(program(raising(error)), ["shout"])
    assert result.exit_code == code
    assert said in result.stderr
    assert said or result.stderr == ""


def test_a_command_that_returns_a_value_has_not_failed(runner: CliRunner) -> None:
    def register(cli: click.Group) -> None:
        cli.add_command(click.Command("seven", callback=lambda: 7))

    assert runner.invoke(program(register), ["seven"]).exit_code == 0


def test_the_group_can_be_called_as_a_function() -> None:
    """As click offers it to programs: exceptions arrive, nothing exits."""
    with pytest.raises(KeyError):
        program(raising(KeyError("x"))).main(["shout"], standalone_mode=False)


def test_our_commands_hang_on_any_click_group() -> None:
    group = click.Group("other")
    cli_plugin.runfolio_register_commands(group)
    assert set(COMMANDS) == set(group.commands)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(invoke: Invoke, shell: str) -> None:
    assert f"{shell}_complete" in invoke("completion", shell).stdout


def test_completion_answers(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(words: str) -> list[str]:
        monkeypatch.setenv("_RUNFOLIO_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        return runner.invoke(build(), []).stdout.split()

    assert completed("runfolio comp") == ["plain,compare", "plain,completion"]
    assert "plain,--where" in completed("runfolio list --wh")


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "from runfolio_plugins.cli import main; import sys; sys.argv = ['runfolio', '--help']; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert stderr == b""
    assert process.returncode == 141


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "koi8-r"])
def test_json_stays_json_in_any_locale(encoding: str) -> None:
    code = "from runfolio_plugins.cli import main; import sys; sys.argv = ['runfolio', 'config', '-o', 'json']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "RUNFOLIO_USER": "Zoë 漢"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    settings = json.loads(done.stdout)
    assert "Zoë 漢" in [one["value"] for one in settings]
