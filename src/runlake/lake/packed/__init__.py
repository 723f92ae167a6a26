"""Packed tables: the histories of pulled runs in long form, as Iceberg tables.

A few files hold the values of thousands of runs, with all values of one key next to each other. So
a read of one key touches few other bytes. The exports remain the authoritative copy, unless
``Lake.pack(drop_exports=True)`` deletes them. Runs that are not packed, or have changed since they
were packed, are read from their exports.
"""
