"""One message on its way. The only door to Apprise."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

from backtune.errors import SpecError
from backtune.gateway.alerts.rules import Target

_SECONDS: Final = 30.0
_SLACK: Final = "https://hooks.slack.com/"


class Delivery:
    """To one target.

    Raises:
        SpecError: Apprise is not installed, or knows no such address; the address stays untold.
    """

    def __init__(self, target: Target) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise SpecError("--alerts", "needs Apprise: pip install 'backtune[alerts]'") from None
        # What it tells below that may quote addresses.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._text = apprise.NotifyFormat.TEXT
        self._service: Any = apprise.Apprise()
        address = target.url.get_secret_value() if target.url is not None else ""
        with warnings.catch_warnings():
            # It still asks Python for modules that are about to go.
            warnings.simplefilter("ignore", DeprecationWarning)
            is_known = self._service.add(_apprise_url(address))
        if not is_known:
            raise SpecError("alerts.targets", "its address is none that Apprise knows", value=target.name)

    def send(self, title: str, body: str) -> bool:
        """Whether it was taken; it may be asked again."""
        return bool(self._service.notify(body=body, title=title, body_format=self._text, timeout=_SECONDS))


def _apprise_url(url: str) -> str:
    """A plain address of HTTP is a webhook that takes JSON, but for Slack's own."""
    if url.startswith(_SLACK):
        return url
    for plain, webhook in (("https://", "jsons://"), ("http://", "json://")):
        if url.startswith(plain):
            return webhook + url.removeprefix(plain)
    return url
