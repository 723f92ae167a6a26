"""Connections."""

from runlake.backend.connections.network import PatientStream


def test_a_connection_whose_making_was_interrupted_is_dropped_in_silence():
    # pytest makes an error of what a finalizer prints.
    del [PatientStream.__new__(PatientStream)][0]
