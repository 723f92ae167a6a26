"""Requests and answers: one seam to the network, retries, and foreign errors made ours.

Read `client`, which every request passes, and `failures`, which makes its errors; then `statuses`
and `retry` for what deserves another try, `reply` and `transfer` for files, `decoding` and
`json_text` for bodies, `words` for what a server says. `budget` and `rate_headers` know the rate
limit, `bandwidth` and `stop` pace and end downloads.
"""
