"""``runfolio completion``."""

from __future__ import annotations

import click

from runfolio_plugins.cli.group import Command

_EXAMPLES = """
eval "$(runfolio completion bash)"                          in ~/.bashrc
eval "$(runfolio completion zsh)"                           in ~/.zshrc
runfolio completion fish > ~/.config/fish/completions/runfolio.fish
"""


@click.command(cls=Command, examples=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script that completes commands and options in your shell."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 (only when a shell asks)

    kind = get_completion_class(shell)
    assert kind is not None, shell
    root = context.find_root()
    script = kind(root.command, {}, "runfolio", "_RUNFOLIO_COMPLETE")
    click.echo(script.source_template % script.source_vars())
