"""Repeated candidates are answered from earlier trials."""

from scripted_evaluator import ScriptedEvaluator

from backtune.search.study_loop.duplicate_cache import DuplicateCache, candidate_key


def test_a_different_candidate_is_evaluated_once():
    inner = ScriptedEvaluator()
    cache = DuplicateCache(inner, {})
    first, second = {"period": 3}, {"period": 4}
    trials = list(cache.evaluate([(0, first), (1, second), (2, first)]))
    trials += cache.evaluate([(3, second)])
    assert inner.evaluated == [0, 1]
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.params for trial in trials] == [first, second, first, second]
    assert [trial.duration_seconds for trial in trials] == [1.0, 1.0, 0.0, 0.0]
    assert trials[2]._replace(number=0, duration_seconds=1.0) == trials[0]


def test_trials_of_the_log_answer_candidates():
    inner = ScriptedEvaluator()
    (logged,) = inner.evaluate([(0, {"period": 3})])
    (trial,) = DuplicateCache(inner, {candidate_key(logged.params): logged}).evaluate([(7, {"period": 3})])
    assert inner.evaluated == [0]
    assert trial == logged._replace(number=7, duration_seconds=0.0)


def test_a_candidate_is_evaluated_when_its_trial_is_asked_for():
    inner = ScriptedEvaluator()
    trials = DuplicateCache(inner, {}).evaluate([(0, {"period": 3}), (1, {"period": 4})])
    next(trials)
    assert inner.evaluated == [0]


def test_equal_values_of_different_types_are_different_candidates():
    keys = {candidate_key({"value": value}) for value in (1, 1.0, True)}
    assert len(keys) == 3
    assert candidate_key({"value": 1}) != candidate_key({"other": 1})
