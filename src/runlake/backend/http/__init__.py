"""Send HTTP requests and read the responses: one client for all requests, retries, and errors.

To understand this package, begin with `client`, which sends every request, and `failures`, which
creates the errors that `client` raises. `statuses` and `retry` decide which failures are retried;
`transfer` downloads and uploads files. `reply` reads the bodies of responses, `decoding`
decompresses them, and `json_text` parses them. `words` makes a server's text safe to quote in
errors. `budget` and `rate_headers` handle the rate limit, `bandwidth` limits the speed of
downloads, and `stop` cancels downloads.
"""
