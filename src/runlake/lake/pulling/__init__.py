"""Pull runs into a lake: the runs of projects, and runs that the user lists."""
