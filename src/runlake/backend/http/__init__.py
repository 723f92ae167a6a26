"""HTTP requests and answers: one client for all requests, retries, and errors.

To understand this package, begin with `client`, which sends every request, and `failures`, which
makes the errors that `client` raises. `statuses` and `retry` decide which failures are retried;
`reply` and `transfer` are for files, `decoding` and `json_text` for the bodies of answers; `words`
makes a server's text safe to quote in errors. `budget` and `rate_headers` handle the rate limit,
`bandwidth` limits the speed of downloads, and `stop` cancels downloads.
"""
