"""The places at which a test can end the process as kill -9 does, if ``$BACKTUNE_FAILPOINT`` names the place."""

from __future__ import annotations

import os
import signal
from typing import Literal

# recorded: the job is in the database, nothing else was done. claimed: the database says that Ray may have the job, and Ray
# was not asked. submitted: Ray has the job, and the database does not know.
Failpoint = Literal["recorded", "claimed", "submitted"]


def pass_failpoint(name: Failpoint) -> None:
    """End the process here if the environment names this place."""
    if os.environ.get("BACKTUNE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
