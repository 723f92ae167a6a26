"""Reading: one plan, many outputs."""
