"""What lists and their members share: pages, attributes, and where files are put."""
