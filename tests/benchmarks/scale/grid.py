"""A large grid in the likeness of a small real plan."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from backtune.search.study_loop.study import Study
from backtune.spec import hash_content

TIMEFRAMES = {
    "1m": 1,
    "2m": 2,
    "3m": 3,
    "5m": 5,
    "10m": 10,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
}
TRIALS = (500, 1000, 2000)
_YEAR_MINUTES = 365 * 24 * 60


def studies_like(plan: Sequence[Study], n: int, seed: int) -> list[Study]:
    """``n`` studies of the plan's strategies on as many assets as it takes, each with one to eight years of bars.

    Each has a space, a strategy and a fold of its own, as :func:`~backtune.search.planning.plan.studies_of` makes them; studies
    of the same asset and timeframe share the reference to their bars, and those with equal budgets the search settings.
    """
    models = list({study.strategy.name: study for study in plan}.values())
    pickled = [pickle.dumps((study.strategy, study.fold, study.space)) for study in models]
    searches = [models[0].search.model_copy(update={"trials": trials}) for trials in TRIALS]
    rng = np.random.default_rng(seed)
    studies: list[Study] = []
    asset = -1
    while len(studies) < n:
        asset += 1
        years = rng.uniform(1, 8)
        for timeframe, minutes in TIMEFRAMES.items():
            n_bars = int(years * _YEAR_MINUTES / minutes)
            name = f"A{asset:05d}"
            bars = replace(
                models[0].bars,
                asset=name,
                timeframe=timeframe,
                fingerprint=hash_content([name, timeframe]),
                end=models[0].bars.start + timedelta(minutes=int(years * _YEAR_MINUTES)),
            )
            for model, content in zip(models, pickled, strict=True):
                strategy, fold, space = pickle.loads(content)  # noqa: S301
                own = f"{model.strategy.name}-{name}-{timeframe}"
                studies.append(
                    Study(
                        id=f"{own}-{fold.name}-{hash_content([own])[:12]}",
                        strategy=strategy,
                        bars=bars,
                        fold=fold,
                        space=space,
                        execution=model.execution,
                        search=searches[asset % len(searches)],
                        seed=int(rng.integers(2**31)),
                        n_bars=n_bars,
                    )
                )
    return studies[:n]
