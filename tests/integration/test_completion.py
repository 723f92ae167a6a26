"""Completion works in the shells themselves."""

import os
import pty
import re
import shutil
import subprocess
import sys

import pytest
from tests.server_process import bare_environment


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture
def environment(tmp_path):
    program = tmp_path / "bin" / "runlake"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runlake "$@"\n')
    program.chmod(0o700)
    path = f"{program.parent}:{os.environ['PATH']}"
    return bare_environment() | {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb", "PS1": "> "}


def test_bash_completes_commands_and_options(environment):
    script = """
        source <(runlake --show-completion bash)
        complete=$(complete -p runlake | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        show() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            $complete runlake
            echo "${COMPREPLY[@]}"
        }
        show runlake ca
        show runlake server key ''
        show runlake query a/b/c --fo
    """
    done = run(["bash", "--norc", "-c", script], environment)
    assert done.splitlines() == ["cache", "new list revoke", "--format"]


@needs("fish")
def test_fish_completes_commands_and_options(environment):
    script = """
        runlake --show-completion fish | source
        complete -C 'runlake ca'
        complete -C 'runlake server key '
        complete -C 'runlake query a/b/c --format j'
    """
    found = [line.split("\t")[0] for line in run(["fish", "-c", script], environment).splitlines()]
    assert found == ["cache", "list", "new", "revoke", "json"]


@needs("zsh")
def test_zsh_completes_commands_and_options(environment):
    """Press Tab in an interactive shell: zsh completes only there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=environment["HOME"],
        start_new_session=True,
    ) as shell:
        os.close(theirs)
        try:
            type_in(ours, "autoload -Uz compinit; compinit -u; unset zle_bracketed_paste\n")
            type_in(ours, 'source <(runlake --show-completion zsh); echo rea""dy\n', "ready\r\n")
            type_in(ours, "runlake cach\t", "cache ")
            type_in(ours, "ver\t", "verify ")
            type_in(ours, '--js\t; echo do""ne\n', '{"runs": 0')
        finally:
            shell.kill()
            os.close(ours)


def test_completion_is_installed_for_a_named_shell(environment, tmp_path):
    said = run(["runlake", "--install-completion", "bash"], environment)
    (place,) = re.findall(r"is in (\S+);", said)
    assert place in (tmp_path / ".bashrc").read_text()
    script = "source ~/.bashrc; complete -p runlake"
    assert "-F" in run(["bash", "--norc", "-c", script], environment)


def run(command, environment):
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def type_in(terminal, text, until=""):
    os.write(terminal, text.encode())
    seen = ""
    while until not in seen:
        seen += os.read(terminal, 1 << 16).decode()
