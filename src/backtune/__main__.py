"""``python -m backtune``."""

from backtune.cli import main

main()
