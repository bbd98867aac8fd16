"""Where a sweep is tracked, and what is said when that fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tracking_runs import finished_sweep, make_sweep

from backtune.errors import TrackingError
from backtune.tracking.address import build_ui_command, resolve_tracking_uri
from backtune.tracking.sync import _find_cause, sync_sweep


@pytest.mark.parametrize(
    ("given", "in_spec", "in_environment", "expected"),
    [
        (None, None, "", "sqlite:///{runs}/mlflow.db"),
        (None, None, "http://around:5000", "http://around:5000"),
        (None, "http://spec:5000", "http://around:5000", "http://spec:5000"),
        ("http://given:5000", "http://spec:5000", "http://around:5000", "http://given:5000"),
    ],
)
def test_the_uri_is_the_given_one_the_specs_the_environments_or_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    in_spec: str | None,
    in_environment: str,
    expected: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", in_environment)
    run = make_sweep(tmp_path / "runs", uri=in_spec).run
    assert resolve_tracking_uri(run, given) == expected.format(runs=tmp_path / "runs")


def test_the_user_interface_listens_on_this_machine_alone(tmp_path: Path) -> None:
    command = build_ui_command(tmp_path, port=1234)
    assert Path(command[0]).is_absolute()
    text = " ".join(command)
    assert f"--backend-store-uri sqlite:///{tmp_path}/mlflow.db" in text
    assert "--host 127.0.0.1 --port 1234 --workers 1" in text


def test_a_failure_is_told_in_one_line_with_the_way_out_and_without_the_password(tmp_path: Path) -> None:
    run = finished_sweep(tmp_path, n_studies=1).run
    with pytest.raises(TrackingError) as caught:
        sync_sweep(run, "http://me:secret@127.0.0.1:9")
    message = str(caught.value)
    assert "http://me:***@127.0.0.1:9: tracking failed: Connection refused" in message
    assert f"backtune sync {run.folder}" in message
    assert "secret" not in message
    assert "\n" not in message


def test_a_store_that_cannot_be_opened_is_a_tracking_error(tmp_path: Path) -> None:
    run = finished_sweep(tmp_path, n_studies=1).run
    with pytest.raises(TrackingError, match="unable to open database file"):
        sync_sweep(run, f"sqlite:///{tmp_path}")


def test_the_innermost_reason_of_the_system_is_told() -> None:
    outer = RuntimeError("a long story")
    outer.__cause__ = sqlite3.OperationalError("disk I/O error")
    assert _find_cause(outer) == "disk I/O error"
    assert _find_cause(RuntimeError("two\nlines")) == "two lines"


def test_mlflow_is_not_imported_before_it_is_used() -> None:
    code = "import sys, backtune.tracking.sync, backtune.tracking.live_sync_process; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
