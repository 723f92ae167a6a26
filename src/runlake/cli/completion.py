"""Shell completion by typer for bash, zsh, fish and PowerShell.

The user may state the shell as the value of ``--install-completion`` or ``--show-completion``;
otherwise the shell is detected.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

# Private modules, for which typer is pinned to one minor version.
from typer._click.shell_completion import CompletionItem, add_completion_class
from typer._completion_classes import FishComplete, ZshComplete, completion_init

from runlake.errors import InvalidArgument, RunlakeError

PROGRAM = "runlake"
VARIABLE = "_RUNLAKE_COMPLETE"
OPTIONS = ("--install-completion", "--show-completion")


class _Zsh(ZshComplete):
    def format_completion(self, item: CompletionItem) -> str:
        return _in_one_line(super().format_completion(item))


class _Fish(FishComplete):
    def format_completion(self, item: CompletionItem) -> str:
        return _in_one_line(super().format_completion(item))


def _in_one_line(text: str) -> str:
    # Typer ends each help text with a line feed, which shells would take as a separate word.
    return text.replace("\n", "")


def prepare_completion() -> None:
    """Register the shells with typer; required before a command line can be completed."""
    completion_init()
    add_completion_class(_Zsh, "zsh")
    add_completion_class(_Fish, "fish")


class Shell(Enum):
    """Shells with completion; ``auto`` detects the shell of the terminal."""

    auto = "auto"
    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"
    pwsh = "pwsh"


def with_shells(words: list[str]) -> list[str]:
    """Return a command line in which each completion option has a shell, ``auto`` by default.

    Examples
    --------
    >>> with_shells(["--show-completion"]), with_shells(["--show-completion", "zsh"])
    (['--show-completion', 'auto'], ['--show-completion', 'zsh'])
    """
    for place, word in enumerate(words[:-1] if words else []):
        if word in OPTIONS and words[place + 1].startswith("-"):
            return [*words[: place + 1], Shell.auto.value, *words[place + 1 :]]
    return [*words, Shell.auto.value] if words and words[-1] in OPTIONS else words


def _install(shell: Shell | None) -> None:
    if shell is None:
        return
    from typer._completion_shared import install

    try:
        name, path = install(_named(shell), PROGRAM, VARIABLE)
    except OSError as error:
        raise RunlakeError(f"The completion cannot be installed: {error}.") from error
    typer.echo(f"Completion for {name} is in {path}; start a new shell to use it.")
    raise typer.Exit


def _show(shell: Shell | None) -> None:
    if shell is None:
        return
    from typer._completion_shared import get_completion_script

    name = _named(shell)
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=name))
    raise typer.Exit


def _named(shell: Shell) -> str:
    if shell is not Shell.auto:
        return str(shell.value)
    from typer._completion_shared import _get_shell_name

    name = _get_shell_name()
    if name in {known.value for known in Shell}:
        return str(name)
    raise InvalidArgument(
        f"The shell of this terminal {'is not known' if name is None else f'is {name}'}, which has "
        f"no completion. Name a shell: runlake --show-completion {Shell.bash.value}."
    )


InstallOption = Annotated[
    Shell | None,
    typer.Option(callback=_install, expose_value=False, help="Install completion for a shell."),
]
ShowOption = Annotated[
    Shell | None,
    typer.Option(callback=_show, expose_value=False, help="Print the completion script."),
]
