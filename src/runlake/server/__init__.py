"""The embedded backend: the server side of the W&B protocol. It shares no code with the client.

To understand this package, begin with `app`, which builds one ASGI application over the stores, and
`serve`, which runs it. `command` is the command line. `graphql` answers queries and mutations,
`http` the other routes. `data_directory` makes sure that only one server uses a data directory and
that no other user can read its data; `background` runs work in threads. `runs`, `artifacts` and
`store` hold the data; `runs` and `artifacts` raise `refused.Refused` for a wrong request.
"""
