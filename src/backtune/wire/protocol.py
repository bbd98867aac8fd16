"""The address of the API and the codes that both sides rely on."""

from __future__ import annotations

from typing import Final, Literal

API_PREFIX: Final = "/api/v1"

# Where an HTTP status describes why the gateway closes a socket, the close code is this number plus the status.
STATUS_CLOSE_CODE: Final = 4000

ReportFormat = Literal["json", "html", "pdf", "xlsx"]
