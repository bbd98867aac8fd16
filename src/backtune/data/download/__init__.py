"""Bars and funding payments from exchanges."""

from backtune.data.download.downloader import download_bars, download_funding

__all__ = ["download_bars", "download_funding"]
