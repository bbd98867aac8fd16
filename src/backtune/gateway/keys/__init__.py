"""API keys, their roles, and the authentication of requests."""
