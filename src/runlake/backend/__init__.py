"""The wire: what is asked of a backend and its storage hosts, and foreign errors made ours.

The only importer of httpx. Read `graphql` for what is asked, `http` for how a request is sent and
its answer read, and `connections` for what it goes through.
"""
