"""The embedded backend: the other side of the W&B protocol, which shares no code with the client.

Read `app`, which puts the stores behind one ASGI application, and `serve`, which runs it; `command`
is its command line. `graphql` answers queries and mutations, `http` the other routes; `runs`,
`artifacts` and `store` keep what they ask for, and raise `refused` where they cannot.
"""
