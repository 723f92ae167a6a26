"""Words in, tables or JSON out."""
