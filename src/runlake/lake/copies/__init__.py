"""Copy the runs of a lake out of it, into files of other formats."""
