"""Delivery of a message to one target. The only door to Apprise."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

from backtune.errors import SpecError
from backtune.gateway.alerts.messages import AlertMessage
from backtune.gateway.alerts.rules import Target

_TIMEOUT_SECONDS: Final = 30.0
_SLACK: Final = "https://hooks.slack.com/"


class Delivery:
    """The service behind one target.

    Raises:
        SpecError: Apprise is not installed, or does not support the address; the error does not show the address.
    """

    def __init__(self, target: Target) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise SpecError("--alerts", "needs Apprise: pip install 'backtune[alerts]'") from None
        # Its messages below this level may quote addresses.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._text_format = apprise.NotifyFormat.TEXT
        self._service: Any = apprise.Apprise()
        address = target.url.get_secret_value() if target.url is not None else ""
        with warnings.catch_warnings():
            # Apprise imports modules that Python has deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            is_known = self._service.add(_convert_to_apprise_url(address))
        if not is_known:
            raise SpecError("alerts.targets", "Apprise does not support its address", value=target.name)

    def send(self, message: AlertMessage) -> bool:
        """Return whether the service accepted the message."""
        is_accepted = self._service.notify(
            title=message.title, body=message.body, body_format=self._text_format, timeout=_TIMEOUT_SECONDS
        )
        return bool(is_accepted)


def _convert_to_apprise_url(url: str) -> str:
    """Return Apprise's address of a JSON webhook for a plain HTTP address; any other address as it is, and Slack's."""
    if url.startswith(_SLACK):
        return url
    for plain, webhook in (("https://", "jsons://"), ("http://", "json://")):
        if url.startswith(plain):
            return webhook + url.removeprefix(plain)
    return url
