"""Commands that look at results."""

import json

import pytest
from sweeps import backtune


def printed(*arguments, cwd):
    done = backtune(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_leaderboard_as_json_has_the_rows_of_the_result(undisturbed, tmp_path):
    rows = json.loads(printed("leaderboard", undisturbed.run.folder, "--json", cwd=tmp_path))
    assert rows == [row.to_json() for row in undisturbed.rows()]
    assert rows[0] == undisturbed.best()
    assert {"study", "strategy", "asset", "timeframe", "params", "n_trials", "warnings"} < rows[0].keys()


def test_leaderboard_of_one_study(undisturbed, tmp_path):
    study = undisturbed.run.studies[0].id
    rows = json.loads(
        printed("leaderboard", undisturbed.run.folder, "--study", study, "--json", cwd=tmp_path)
    )
    assert {row["study"] for row in rows} == {study}
    wrong = backtune("leaderboard", undisturbed.run.folder, "--study", study[:-1], cwd=tmp_path)
    assert wrong.returncode == 2
    assert f"did you mean '{study}'?" in wrong.stderr


def test_leaderboard_for_people_fits_a_narrow_terminal(undisturbed, tmp_path):
    done = backtune("leaderboard", undisturbed.run.folder, "--top", "1", cwd=tmp_path, COLUMNS="80")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    best = undisturbed.best()
    assert best["strategy"] in done.stdout
    assert f"{best['is_sharpe_ratio']:.2f} → {best['oos_sharpe_ratio']:.2f}" in done.stdout
    assert "3 more rows" in done.stdout


@pytest.mark.parametrize("arguments", [("status",), ("status", "RUN")])
def test_status(undisturbed, tmp_path, arguments):
    folder = undisturbed.run.folder
    # As the tracking database, which lies there too.
    (folder.parent / "notes.txt").touch()
    one = [str(folder) if part == "RUN" else part for part in arguments]
    rows = json.loads(printed(*one, "--runs", folder.parent, "--json", cwd=tmp_path))
    small = next(row for row in rows if row["sweep_id"] == undisturbed.run.sweep_id)
    assert (small["n_studies_done"], small["n_trials"], small["n_trials_planned"]) == (4, 160, 160)
    assert "4/4" in printed(*one, "--runs", folder.parent, cwd=tmp_path)


@pytest.mark.slow
def test_sync_projects_what_a_sweep_without_tracking_left_out(undisturbed, tmp_path):
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    report = json.loads(printed("sync", undisturbed.run.folder, "--uri", uri, "--json", cwd=tmp_path))
    assert (report["n_written"], report["n_unchanged"], report["problems"]) == (4, 0, [])
    assert "0 studies written, 4 unchanged" in printed(
        "sync", undisturbed.run.folder, "--uri", uri, cwd=tmp_path
    )
    down = backtune("sync", undisturbed.run.folder, "--uri", "http://127.0.0.1:9", cwd=tmp_path)
    assert down.returncode == 1
    assert down.stderr.startswith("error: ")
    assert down.stderr.count("\n") == 1
