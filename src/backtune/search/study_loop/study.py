"""A study: one search of one cell and fold, from its log to its budget."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backtune.data.calendar import annualise
from backtune.data.load import BarsRef
from backtune.errors import ResultsError
from backtune.results.best_trials import select_best_trials
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.log.probes import Probe, write_probes
from backtune.results.log.segments import TrialLog
from backtune.results.log.summary import summarize_study
from backtune.results.trial import Trial
from backtune.search.study_loop.crash_guard import CrashGuard, DeathWatch
from backtune.search.study_loop.duplicate_cache import DuplicateCache, candidate_key
from backtune.search.study_loop.early_stopping import EarlyStopper
from backtune.search.study_loop.evaluator import Evaluator
from backtune.search.study_loop.islands import IslandExchange
from backtune.search.study_loop.plateau_probes import sample_neighbours
from backtune.search.study_loop.segment_writer import SegmentWriter
from backtune.search.study_loop.trial_feedback import make_feedback
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.search.study_loop.winners import evaluate_winners
from backtune.search.suggesters.samplers import make_suggester
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params, Space
from backtune.spec import Execution, Search
from backtune.storage.files import remove_leftovers
from backtune.storage.location import Location
from backtune.strategy.registry import StrategyRef
from backtune.validation.folds import Fold, purge_fold
from backtune.validation.windows import search_window, validation_window

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Study:
    """One search of one cell and fold. Small and picklable.

    Attributes:
        id: The content id, which is the name of its folder.
        n_bars: An estimate of the number of bars of its train window, for planning.
        seed: The seed of its suggester.
        peers: The ids of the other islands of the same search.
        first_candidates: The candidates that the search begins with.
        known_until: The end of the latest bar that these were found on, in microseconds since the epoch.
        sources: The studies whose trials found these, as in :class:`~backtune.results.stored_sweep.StoredStudy`.
    """

    id: str
    strategy: StrategyRef
    bars: BarsRef
    fold: Fold
    space: Space
    execution: Execution
    search: Search
    seed: int
    n_bars: int
    peers: tuple[str, ...] = ()
    first_candidates: tuple[Params, ...] = ()
    known_until: int | None = None
    sources: tuple[dict[str, Any], ...] = ()

    @property
    def scorer(self) -> CandidateScorer:
        return CandidateScorer(self.strategy, self.execution)

    def evaluator(self, window: BarWindow) -> WindowEvaluator:
        """Return the evaluator of this study's candidates on a window."""
        search = self.search
        return WindowEvaluator(
            self.scorer, window, search.objectives, search.constraints, self.fold.deviation
        )


def run_study(study: Study, folder: Location, stop: Stop, max_deaths: int = 1) -> Iterator[bool]:
    """Run a study from the trials in its log up to its budget, or until ``stop`` returns True.

    The log is the only state. A study is resumed by replay: the suggester is asked again from the start, and what the log
    has is told again instead of being evaluated again.

    Args:
        study: The study.
        folder: The folder of the study; those of its peers are beside it.
        stop: A function that tells whether to stop.
        max_deaths: The number of workers that a candidate may cost, before it gets a failed row without an evaluation.

    Yields:
        A value each time the study must wait for its peers: whether it has advanced since the wait before. The caller asks
        for the next value until there is none.

    Raises:
        DataError: The bars cannot be used.
        StrategyError: Too many candidates ended their workers.
        ResultsError: The log cannot be read, written or replayed.
        Exception: Any error of a strategy whose winner runs on the test window.
    """
    remove_leftovers(folder)
    log = TrialLog(folder, study.space, len(study.search.objectives), study.search.n_rungs)
    bars = study.bars.load()
    fold = purge_fold(study.fold, bars.timestamp)
    window = search_window(bars, fold.train, fold.parts)
    trials, writer, watch = log.read(), SegmentWriter(log), DeathWatch(folder, max_deaths)
    on_window = study.evaluator(window)
    known = {candidate_key(trial.params): trial for trial in trials}
    early_stopping = study.search.early_stopping
    inner = EarlyStopper(early_stopping, on_window, known.values()) if early_stopping else on_window
    guard = CrashGuard(inner, watch, writer, trials, study.strategy.name)
    loop = _StudyLoop(study, trials, DuplicateCache(guard, known), writer)
    is_exhausted = yield from loop.run(stop, folder.parent)
    is_complete = is_exhausted or len(trials) >= study.search.trials
    probes: list[Probe] | None = []
    # No probes where one of them has cost a worker.
    if is_complete and watch.suspect < len(trials):
        objective = study.search.objectives[0]
        probes = sample_neighbours(trials, study.space, objective, replace(guard, inner=on_window), stop)
    watch.end()
    test = validation_window(bars, fold.test) if fold.test is not None else None
    best = select_best_trials(trials, study.search.objectives)
    winners = evaluate_winners(best, on_window.scorer, window, test, study.seed)
    if is_complete:
        log.merge()
        write_probes(folder, probes or [])
    summary = summarize_study(trials, winners, budget=study.search.trials, exhausted=is_exhausted)
    annualisation = annualise(bars.timestamp, bars.timeframe, study.bars.calendar)
    replace(summary, is_probed=probes is not None, annualisation=annualisation).write(folder)


@dataclass(frozen=True)
class _StudyLoop:
    """Asks for candidates, evaluates them, writes their trials and tells the suggester about them.

    Attributes:
        trials: All trials of the study; those of the log at first.
    """

    study: Study
    trials: list[Trial]
    evaluator: Evaluator
    writer: SegmentWriter

    def run(self, stop: Stop, studies: Location) -> Generator[bool, None, bool]:
        """Run to the end of the budget; return whether the space was exhausted before."""
        search, space = self.study.search, self.study.space
        suggester = make_suggester(search, space, self.study.seed)
        suggester.enqueue(self.study.first_candidates)
        peers = [studies / peer for peer in self.study.peers]
        exchange = IslandExchange(peers, space, search, suggester.batch_size)
        number = 0
        try:
            while number < search.trials:
                if exchange.is_due(number):
                    if not (yield from self._wait_for_peers(exchange, number, stop)):
                        break
                    own = {candidate_key(trial.params) for trial in self.trials[:number]}
                    migrants = exchange.read_migrants(number)
                    suggester.enqueue([params for params in migrants if candidate_key(params) not in own])
                # Batches are asked whole whatever the budget, so that a larger one finds the same trials first.
                candidates = suggester.ask(suggester.batch_size)
                if not candidates:
                    return True
                batch = self._evaluate_batch(candidates, number, stop)
                if len(batch) < len(candidates):
                    break
                suggester.tell(
                    [make_feedback(trial, search.objectives, search.constraints) for trial in batch]
                )
                number += len(batch)
        finally:
            self.writer.flush()
        return False

    def _wait_for_peers(
        self, exchange: IslandExchange, number: int, stop: Stop
    ) -> Generator[bool, None, bool]:
        """Wait until the peers have enough trials; return False where the search is stopped meanwhile."""
        self.writer.flush()
        has_advanced = True
        while not exchange.is_ready(number):
            if stop():
                return False
            yield has_advanced
            has_advanced = False
        return True

    def _evaluate_batch(self, candidates: Sequence[Params], first: int, stop: Stop) -> list[Trial]:
        """Return the trials of a batch: fewer than candidates where the budget ends or the search is stopped."""
        numbered = list(enumerate(candidates[: self.study.search.trials - first], start=first))
        end = first + len(numbered)
        for trial, (_, params) in zip(self.trials[first:end], numbered, strict=False):
            self._check_replay(trial, params)
        evaluated = self.evaluator.evaluate(numbered[max(0, len(self.trials) - first) :])
        while len(self.trials) < end and not stop():
            trial = next(evaluated)
            self.trials.append(trial)
            self.writer.add(trial)
        return self.trials[first:end]

    def _check_replay(self, logged: Trial, params: Params) -> None:
        if logged.params != params:
            raise ResultsError(
                f"study {self.study.id}: trial {logged.number} was {logged.params}, and would now be {params}; "
                "the log is not of this search: move the study's folder away"
            )
