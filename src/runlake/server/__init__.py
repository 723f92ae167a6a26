"""The embedded backend, which shares no code with the client."""
