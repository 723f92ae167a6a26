"""Copy runs out of a lake, into files of other formats."""
