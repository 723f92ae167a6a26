"""Connections: certificates to trust, proxies to use, and timeouts for slow transfers.

To understand this package, begin with `pools`, which opens a pool of connections per proxy, and
`kept`, which keeps the idle connections to storage hosts: `opening` sends the first request on a
connection, and `exchange` all others. `multiplexer` requests many small files from one thread, with
a `lane` for each connection, whose socket is a `socket_stream`. Then read `network`, whose
connections time out if a transfer is slow, and `pace`, which measures the speed; then `proxies` and
`trust`. `urls` computes origins; the other modules import httpx through `httpx_import`.
"""
