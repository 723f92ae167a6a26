"""Pull the runs of projects and of lists into a lake."""
