"""Routes of the embedded backend beside GraphQL, and the log of all requests."""
