"""Connections: certificates to trust, proxies to use, and timeouts by transfer rate.

Read `pools`, which opens a pool of connections per proxy, and `kept`, which keeps those to storage
hosts; then `network`, which measures every read and write against the `pace` of its request; then
`proxies` and `trust`. `urls` computes origins; `httpx_import` imports httpx for all.
"""
