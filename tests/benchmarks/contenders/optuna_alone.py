"""Optuna in one process: ``study.optimize`` with its TPE, on the same kernel."""

import time
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from backtune.search.study_loop.study import Study
from backtune.search.study_loop.trial_feedback import make_feedback
from backtune.space import Choice, Float, Parameter, Space
from backtune.validation.windows import search_window
from contenders.setting import Finding, best_of, name_of


def run(studies: Sequence[Study]) -> Finding:
    """All studies, one after the other."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.perf_counter()
    best = {name_of(study): best_of(_optimized(study)) for study in studies}
    seconds = time.perf_counter() - started
    return Finding(sum(study.search.trials for study in studies), seconds, seconds, seconds, best)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """A space as Optuna takes it."""
    return {name: _distribution(parameter) for name, parameter in space.items()}


def _optimized(study: Study) -> list[float]:
    """The values of complete trials."""
    window = search_window(study.bars.load(), study.fold.train)
    evaluator, search = study.evaluator(window), study.search
    axes = distributions(study.space)
    values: list[float] = []

    def run_trial(live: optuna.Trial) -> float:
        params = {name: live._suggest(name, axis) for name, axis in axes.items()}
        (trial,) = evaluator.evaluate([(live.number, params)])
        # The same violations as our samplers learn from: ruin, and the constraints of the spec.
        violations = make_feedback(trial, search.objectives, search.constraints).violations
        for i, violation in enumerate(violations):
            live.set_constraint(str(i), violation)
        if trial.values is None:
            raise optuna.TrialPruned(trial.reason)
        if trial.state == "complete":
            values.append(trial.values[0])
        return trial.values[0]

    optuna_study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=study.seed)
    )
    optuna_study.optimize(run_trial, n_trials=study.search.trials)
    return values


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
