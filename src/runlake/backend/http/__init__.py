"""HTTP requests and answers: one client for all requests, retries, and errors.

Read `client`, which sends every request, and `failures`, which makes its errors; then `statuses`
and `retry` for which failures are retried, `reply` and `transfer` for files, `decoding` and
`json_text` for bodies, `words` for quoting a server in errors. `budget` and `rate_headers` handle
the rate limit; `bandwidth` limits the speed of downloads, and `stop` cancels downloads.
"""
