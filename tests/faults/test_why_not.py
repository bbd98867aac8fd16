"""Where there can be no hosts of our own, the reason is said, and asking leaves nothing behind."""

import shutil
import sys
from uuid import uuid4

import pytest

from faults import hosts
from faults.traces import MARK, processes

TOOLS = ("ip", "mount", "nsenter", "setpriv", "umount", "unshare")
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (("ip",), "not installed: ip (iproute2)"),
        (("umount", "setpriv"), "not installed: setpriv (util-linux), umount (mount)"),
    ],
)
def test_what_is_not_installed_is_named(missing, reason, tmp_path, monkeypatch):
    for name in set(TOOLS) - set(missing):
        (tmp_path / name).symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hosts.why_not.__wrapped__() == reason


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
@pytest.mark.parametrize("started_with", [hosts.TIED, WITHOUT_RIGHTS], ids=["here", "without-rights"])
def test_asking_leaves_nothing_behind(started_with, tmp_path, monkeypatch):
    mark, folder = uuid4().hex, tmp_path / "hosts"
    folder.mkdir()
    monkeypatch.setenv(MARK, mark)
    monkeypatch.setattr(hosts, "TIED", started_with)
    monkeypatch.setattr(hosts.tempfile, "mkdtemp", lambda **_: str(folder))
    reason = hosts.why_not.__wrapped__()
    if started_with is WITHOUT_RIGHTS:
        assert reason.startswith("namespaces are not permitted here: "), reason
    assert processes(mark) == []
    assert not folder.exists()
