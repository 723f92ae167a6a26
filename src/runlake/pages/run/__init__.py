"""The page of a run; begin with `routes`."""
