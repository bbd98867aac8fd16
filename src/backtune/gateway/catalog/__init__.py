"""The strategies and assets that a sweep can use."""
