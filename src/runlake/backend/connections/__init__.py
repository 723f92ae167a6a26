"""Connections: whom to trust, which proxy to go through, and how long bytes may take.

Read `pools`, which opens a pool of connections per proxy; then `network`, which measures every read
and write by the `pace` of its request, `proxies` and `trust`. `urls` says what a URL's origin is.
"""
