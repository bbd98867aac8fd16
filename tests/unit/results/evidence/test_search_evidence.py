"""What the trials of a search say together, from logs made by hand; and that it is computed once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from block_moments import blocks_of
from stored_sweeps import minimal_spec, stored_study

from backtune.results.evidence.search_evidence import SearchEvidence, load_search_evidence
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.log.probes import Probe
from backtune.results.log.segments import TrialLog, read_log
from backtune.results.log.summary import Winner, summarize_study
from backtune.results.stored_sweep import StoredSweep
from backtune.results.trial import Trial
from backtune.simulation.metrics import METRICS
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Objective
from backtune.validation.deflated_sharpe import ReturnShape, TrialCount
from backtune.validation.overfitting import estimate_overfitting

SHARPE = Objective.parse("sharpe_ratio")
LINE = Space(x=Float(0.0, 1.0))
NOTHING = dict.fromkeys(METRICS)
NOISE = np.random.default_rng(5).standard_normal((400, 320)) * 0.01


def complete(number, params, value, returns=None):
    blocks = blocks_of(NOISE[number][None] if returns is None else returns[None])[0]
    return Trial(number, params, "complete", "", (value,), {**NOTHING, "total_trades": 40.0}, blocks, 0.0)


def stopped(number, params):
    return Trial(number, params, "infeasible", "stopped early", None, NOTHING, np.zeros((16, 3)), 0.0)


def failed(number, params):
    return Trial(number, params, "failed", "never", None, NOTHING, np.zeros((16, 3)), 0.0)


def infeasible(number, params):
    return Trial(
        number, params, "infeasible", "few trades", (9.0,), NOTHING, blocks_of(NOISE[number][None])[0], 0.0
    )


def log_of(folder, trials, space=LINE):
    TrialLog(folder, space, 1).append(trials)
    return read_log(folder)


def line(n, value_of, first=0):
    """Trials side by side on the line."""
    places = [(k + 0.5) / n for k in range(n)]
    return [complete(first + k, {"x": x}, value_of(x)) for k, x in enumerate(places)]


def test_stopped_candidates_count_as_tried_once_each(tmp_path):
    """Infeasible ones with a result are tried too, but the best was not chosen from them; failed ones are neither."""
    trials = line(60, lambda x: x)
    trials += [stopped(60 + k, {"x": (k % 10) / 10}) for k in range(30)]
    trials += [failed(90, {"x": 0.3}), *(infeasible(n, {"x": 0.5}) for n in range(91, 101))]
    found = SearchEvidence.of(log_of(tmp_path, trials), LINE, SHARPE)
    blocks = np.stack([trial.blocks for trial in trials])
    assert found.n_trials == 101
    assert found.trials.total == TrialCount.of(blocks, n_unknown=10)
    assert found.trials.total.n_trials == 60 + 10 + 10
    assert found.trials.total.n_independent > TrialCount.of(blocks).n_independent
    assert found.pbo == estimate_overfitting(blocks[:60]).probability
    assert found.pbo_loss == estimate_overfitting(blocks[:60]).probability_of_loss
    assert found.plateau.best == {"x": 59.5 / 60}


HILL = lambda x: 1.0 - abs(x - 0.5)  # noqa: E731


@pytest.mark.parametrize(
    ("objective", "value_of", "best", "plateau", "centre"),
    [
        ("sharpe_ratio", HILL, 0.5, (0.7, 1.0), 0.5),
        ("-max_drawdown", lambda x: abs(x - 0.5), 0.5, (0.7, 1.0), 0.5),
        # A needle beside a hill: the centre of the hill is the better choice.
        ("sharpe_ratio", lambda x: 9.0 if x == 10.5 / 99 else HILL(x), 10.5 / 99, (-0.1, 0.1), 0.5),
    ],
    ids=["hill", "minimized", "needle"],
)
def test_the_best_among_its_neighbours(tmp_path, objective, value_of, best, plateau, centre):
    found = SearchEvidence.of(log_of(tmp_path, line(99, value_of)), LINE, Objective.parse(objective))
    assert found.plateau.best["x"] == pytest.approx(best)
    assert plateau[0] < found.plateau.stability <= plateau[1]
    assert found.plateau.centre["x"] == pytest.approx(centre, abs=0.011)


def test_neighbours_that_were_evaluated_beside_the_search(tmp_path):
    """Two trials are no neighbourhood; with probes around the better one there is one, and a centre among them."""
    trials = [complete(0, {"x": 0.2}, 0.0), complete(1, {"x": 0.6}, 2.0)]
    log = log_of(tmp_path, trials)
    alone = SearchEvidence.of(log, LINE, SHARPE)
    assert (alone.plateau.stability, alone.plateau.centre, alone.n_probes) == (None, None, 0)
    places = [0.5 + k / 100 for k in range(21) if k != 10]
    probes = [probe({"x": x}, 3.0 if x == 0.62 else 1.0) for x in places]
    found = SearchEvidence.of(log, LINE, SHARPE, probes)
    # The best is still the search's, though a probe is better.
    assert (found.plateau.best, found.plateau.stability) == ({"x": 0.6}, 0.5)
    assert (found.n_trials, found.n_probes, found.trials.total) == (2, 20, alone.trials.total)
    assert found.plateau.centre_stability >= 0.5
    assert found.plateau.centre_metrics["total_trades"] in (33.0, 40.0)
    minimized = [replace(one, values=(-one.values[0],)) for one in probes]
    lowest = SearchEvidence.of(
        log.with_columns(values_0=-pl.col("values_0")), LINE, Objective.parse("-max_drawdown"), minimized
    )
    assert (lowest.plateau.stability, lowest.plateau.centre_stability) == (
        0.5,
        found.plateau.centre_stability,
    )


def probe(params, value):
    return Probe(params, "complete", "", (value,), {**NOTHING, "total_trades": 33.0})


def test_choices_of_several_kinds(tmp_path):
    space = Space(mode=Choice((1, "a", True)), x=Float(0.0, 1.0))
    modes = [1, "a", True, "a"] * 25
    trials = [complete(k, {"mode": mode, "x": k / 100}, HILL(k / 100)) for k, mode in enumerate(modes)]
    found = SearchEvidence.of(log_of(tmp_path, trials, space), space, SHARPE)
    assert found.plateau.best == {"mode": True, "x": 0.5}
    assert found.plateau.centre["mode"] in space["mode"].choices
    assert found.plateau.stability is None or found.plateau.stability <= 1.0


def test_parameters_that_do_not_matter_for_the_best_are_no_axis(tmp_path):
    space = Space(mode=Choice(("a", "b")), x=Float(0.0, 1.0), y=Int(1, 9, when={"mode": "b"}))
    trials = [complete(k, {"mode": "a", "x": k / 100}, HILL(k / 100)) for k in range(100)]
    trials += [complete(k, {"mode": "b", "x": k / 200, "y": 1 + k % 9}, 0.1) for k in range(100, 200)]
    found = SearchEvidence.of(log_of(tmp_path, trials, space), space, SHARPE)
    assert found.plateau.best == {"mode": "a", "x": 0.5}
    assert found.plateau.centre == {"mode": "a", "x": 0.5}
    assert 0.5 < found.plateau.stability <= 1.0


@pytest.mark.parametrize(
    "trials", [[failed(0, {"x": 0.1})], [stopped(0, {"x": 0.1}), stopped(1, {"x": 0.2})]]
)
def test_undefined_without_a_complete_trial(tmp_path, trials):
    assert SearchEvidence.of(log_of(tmp_path, trials), LINE, SHARPE) == SearchEvidence(len(trials))


def test_undefined_for_a_single_candidate(tmp_path):
    only = Space(x=Choice((0.5,)))
    found = SearchEvidence.of(log_of(tmp_path, [complete(0, {"x": 0.5}, 1.0)], only), only, SHARPE)
    assert (found.pbo, found.plateau.stability, found.plateau.best) == (None, None, {"x": 0.5})
    assert (found.trials.total.n_trials, found.trials.total.n_independent) == (1, 1.0)


@pytest.fixture
def run(tmp_path):
    """A sweep of one search on two islands, with sixty trials each."""
    peers = ["one", "two"]
    studies = [
        stored_study(name, budget=60, space=LINE.to_json(), peers=tuple(p for p in peers if p != name))
        for name in peers
    ]  # fmt: skip
    spec = minimal_spec(search={"sampler": "random"})
    found = StoredSweep(tmp_path / "sweep", "sweep", "name", spec, tuple(studies), "1")
    found.write()
    for study, first in zip(studies, (0, 60), strict=True):
        trials = [complete(k, {"x": k / 99}, HILL(k / 99) + first / 600, NOISE[first + k]) for k in range(60)]
        folder = found.study_folder(study.id)
        TrialLog(folder, LINE, 1).append(trials)
        best = max(trials, key=lambda trial: trial.values)
        metrics = {**NOTHING, "sharpe_ratio": 1.0, "total_return": 0.1, "total_trades": 40.0}
        shape = ReturnShape.of(NOISE[first + best.number])
        winner = Winner(best.number, best.params, best.values, metrics, metrics, shape)
        summarize_study(trials, [winner], budget=60, exhausted=False).write(folder)
    return found


def test_islands_are_taken_together(run):
    found = load_search_evidence(run, run.studies)
    blocks = blocks_of(NOISE[:120])
    assert found.n_trials == 120
    assert found.trials.total == TrialCount.of(blocks)
    assert found.pbo == estimate_overfitting(blocks).probability
    (row,) = build_leaderboard(run)
    assert row.study == "two"
    assert row.params == found.plateau.best
    assert row.evidence.plateau == found.plateau
    assert row.to_json()["pbo"] == found.pbo
    assert 0.0 < row.to_json()["dsr"] < 0.95
    assert f"(DSR {row.evidence.dsr:.2f}; luck reaches " in " ".join(row.warnings)


def spoil(run):
    """Logs of the same names that nobody can read: whatever is known now was kept."""
    for study in run.studies:
        for segment in run.study_folder(study.id).glob("*.parquet"):
            segment.write_bytes(b"spoilt")


def test_it_is_computed_once(run):
    before = build_leaderboard(run)
    spoil(run)
    assert build_leaderboard(run) == before


def test_more_trials_are_taken_in(run):
    before = load_search_evidence(run, run.studies)
    TrialLog(run.study_folder("one"), LINE, 1).append([complete(60, {"x": 0.999}, 5.0, NOISE[300])])
    after = load_search_evidence(run, run.studies)
    assert (before.n_trials, after.n_trials) == (120, 121)
    assert after.plateau.best == {"x": 0.999}
    assert load_search_evidence(run, run.studies) == after


@pytest.mark.parametrize("content", ["no json", "[]", '{"version": 0, "n_trials": 120}', None])
def test_what_was_kept_by_others_is_computed_again(run, content):
    found = load_search_evidence(run, run.studies)
    path = run.study_folder("one") / "evidence.json"
    assert json.loads(path.read_text())["n_trials"] == 120
    path.unlink()
    # A folder can be neither read as a file nor replaced by one: as where nothing may be written.
    path.mkdir() if content is None else path.write_text(content)
    assert load_search_evidence(run, run.studies) == found


def test_a_log_that_cannot_be_read_costs_the_evidence_alone(run):
    spoil(run)
    (row,) = build_leaderboard(run)
    assert row.values is not None
    assert row.evidence.pbo is None
    assert any(warning.startswith("no evidence: ") for warning in row.warnings)
