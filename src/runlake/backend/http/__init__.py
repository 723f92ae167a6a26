"""Requests and answers: connections, proxies, pace, retries, and foreign errors made ours.

Read `client`, which every request passes; then `connections`, `network` and `pace` below it, and
`reply`, `transfer` and `retry` beside it.
"""
