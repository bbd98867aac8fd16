"""Health, metrics and the log of the gateway itself."""
