"""Open and keep connections, with certificates, proxies, and timeouts for slow transfers.

To understand this package, begin with `pools`, which opens a pool of connections per proxy, and
`kept`, which keeps the idle connections to storage hosts: `opening` sends the first request on a
connection, and `exchange` all others. `multiplexer` requests many small files from one thread: each
of its connections is a `lane`, and `socket_stream` gives a socket the interface of httpcore. Then
read `network`, whose connections time out if a transfer is slow, and `pace`, which measures the
speed; then `proxies` and `trust`. `urls` splits URLs, and `httpx_import` imports httpx without its
optional parts.
"""
