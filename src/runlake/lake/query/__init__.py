"""Choose runs of a lake by filters, and read their fields, with SQL over the catalog."""
