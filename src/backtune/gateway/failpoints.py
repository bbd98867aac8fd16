"""Places where a test may end the process as kill -9 does. Off unless ``$BACKTUNE_FAILPOINT`` names one."""

from __future__ import annotations

import os
import signal
from typing import Literal

# recorded: the job is in the database, nothing else was done. claimed: the database says that Ray may have it, and Ray was
# not asked. submitted: Ray has it, the database does not know.
Failpoint = Literal["recorded", "claimed", "submitted"]


def failpoint(name: Failpoint) -> None:
    """End the process here if that was asked for."""
    if os.environ.get("BACKTUNE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
