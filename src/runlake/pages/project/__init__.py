"""The pages of a project; begin with `routes`."""
