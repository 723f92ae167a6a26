"""What is asked of a backend: the documents, and how their answers are read.

Read `query`; then `documents`, and `lacking` for servers that are older than the documents.
"""
