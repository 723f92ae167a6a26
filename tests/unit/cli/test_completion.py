"""Options of completion may be given without a shell."""

import pytest

from runlake.cli.completion import with_shells


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ([], []),
        (["cache", "info"], ["cache", "info"]),
        (["--install-completion"], ["--install-completion", "auto"]),
        (["--install-completion", "fish"], ["--install-completion", "fish"]),
        (["--show-completion", "--debug"], ["--show-completion", "auto", "--debug"]),
        (["--show-completion", "tcsh"], ["--show-completion", "tcsh"]),
        (["--show-completion", "pwsh", "x"], ["--show-completion", "pwsh", "x"]),
    ],
)
def test_a_missing_shell_is_the_one_of_the_terminal(words, completed):
    assert with_shells(words) == completed
