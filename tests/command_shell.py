"""Runs the command line in the test's own process: importing the library costs a second."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Mapping

import pytest

from runlake.cli.main import main


def run_command(
    environment: Mapping[str, str],
    *words: object,
    stream: type[io.TextIOWrapper] = io.TextIOWrapper,
    encoding: str = "utf-8",
) -> subprocess.CompletedProcess[str]:
    """Return the exit code and the outputs of one command line.

    Parameters
    ----------
    environment : Mapping[str, str]
        What the variables of the process are while it runs.
    *words : object
        What follows the name of the program.
    stream : type
        Class of both outputs.
    encoding : str
        Theirs.
    """
    contents = [io.BytesIO(), io.BytesIO()]
    outputs = [stream(content, encoding=encoding) for content in contents]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["runlake", *map(str, words)])
        patch.setattr(sys, "stdout", outputs[0])
        patch.setattr(sys, "stderr", outputs[1])
        with pytest.raises(SystemExit) as over:
            main()
    for output in outputs:
        output.flush()
    texts = [content.getvalue().decode(encoding) for content in contents]
    assert isinstance(over.value.code, int)
    return subprocess.CompletedProcess([str(word) for word in words], over.value.code, *texts)
