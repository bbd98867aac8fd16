"""backtune finds trading-strategy parameters that hold up out of sample."""

__version__ = "0.1.0"
