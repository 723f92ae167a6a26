"""Processes that are named in a file: only those that are certainly dead count as gone."""

import os
import subprocess
import sys
from dataclasses import replace

from runlake.exports.process_identity import UNKNOWN_BOOT, Process


def ended_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_an_ended_process_is_gone_and_the_current_process_is_not():
    here = Process.current()
    assert not here.is_gone()
    assert replace(here, pid=ended_pid()).is_gone()


def test_a_number_that_went_to_a_later_process_is_gone():
    here = Process.current()
    assert here.started == 0 or replace(here, started=here.started - 1).is_gone()
    assert not replace(here, started=0).is_gone()


def test_a_process_of_another_machine_or_namespace_is_never_known_to_be_gone():
    here = Process.current()
    elsewhere = replace(here.machine, host="0badb007")
    assert not replace(here, machine=elsewhere, pid=ended_pid()).is_gone()
    assert not Process(replace(elsewhere, boot=UNKNOWN_BOOT), os.getpid()).is_gone()


def test_a_process_of_an_earlier_start_of_this_machine_is_gone():
    here = Process.current()
    before = replace(here, machine=replace(here.machine, boot="0badb007"))
    unknown = replace(here, machine=replace(here.machine, boot=UNKNOWN_BOOT))
    assert before.is_gone() == (here.machine.boot != UNKNOWN_BOOT)
    assert not unknown.is_gone()
