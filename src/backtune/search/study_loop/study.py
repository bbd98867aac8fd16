"""One study: ask, evaluate, tell, write. Resume is replay: the log is the only state."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from backtune.data.bars_ref import BarsRef
from backtune.data.calendar import annualise
from backtune.errors import ResultsError, StrategyError
from backtune.results.best_trials import select_best_trials
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.log.probes import Probe, write_probes
from backtune.results.log.segments import TrialLog
from backtune.results.log.summary import summarize_study
from backtune.results.trial import Trial
from backtune.search.study_loop.islands import Exchange
from backtune.search.study_loop.probing import Evaluate, around
from backtune.search.study_loop.rungs import Rungs, told_of_stopped
from backtune.search.study_loop.wary import DEADLY, MAX_DEADLY_CANDIDATES, Watch
from backtune.search.study_loop.winners import Windows, evaluate_winners
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import make_suggester
from backtune.simulation.window import BarWindow
from backtune.space import Params, Space
from backtune.spec import Execution, Search
from backtune.storage.files import remove_leftovers
from backtune.storage.location import Location
from backtune.strategy.registry import StrategyRef
from backtune.validation.folds import Fold, purge_fold
from backtune.validation.windows import search_window, validation_window

# Finished trials are written at least this often: what a crash can cost, against the price of a file.
FLUSH_SECONDS = 1.0

Stop = Callable[[], bool]

_Key = tuple[object, ...]


@dataclass(frozen=True)
class Study:
    """One search of one cell and fold. Small and picklable.

    Attributes:
        id: content id, the name of its folder.
        n_bars: estimate of the bars searched on, for planning.
        seed: of its suggester.
        peers: ids of the other islands of the same search.
        first: candidates that the search begins with.
        known_until: the end of the latest bar that these were found on, microseconds since the epoch.
        sources: the studies whose trials found these, as in :class:`~backtune.results.stored_sweep.StoredStudy`.
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
    first: tuple[Params, ...] = ()
    known_until: int | None = None
    sources: tuple[dict[str, Any], ...] = ()

    @property
    def scorer(self) -> CandidateScorer:
        return CandidateScorer(
            self.strategy,
            self.execution,
            self.search.objectives,
            self.search.constraints,
            self.fold.deviation,
        )


def run_study(study: Study, folder: Location, stop: Stop, max_deaths: int = 1) -> Iterator[bool]:
    """Bring a study from whatever its log holds to its budget, or to where ``stop`` says so.

    Args:
        folder: the study's; those of its peers are beside it.
        max_deaths: how many workers a candidate may cost, before it gets a failed row unevaluated.

    Yields:
        Whenever it has to wait for its peers: whether it got any further since it had to wait last. To be asked for
        the next one until there is none.

    Raises:
        DataError: the bars cannot be used.
        StrategyError: too many of its candidates ended their workers.
        ResultsError: the log cannot be read, written or replayed.
        Exception: whatever a strategy raises when its winner meets the test window.
    """
    remove_leftovers(folder)
    log = TrialLog(folder, study.space, len(study.search.objectives), study.search.n_rungs)
    bars = study.bars.load()
    fold = purge_fold(study.fold, bars.timestamp)
    window = search_window(bars, fold.train, fold.parts)
    watch = Watch(folder, max_deaths)
    search = _Search(study, study.scorer, window, _Pen(log), log.read(), watch)
    exhausted = yield from search.run(stop, folder.parent)
    is_complete = exhausted or len(search.trials) >= study.search.trials
    probes = search.probes(stop) if is_complete else []
    watch.end()
    test = validation_window(bars, fold.test) if fold.test is not None else None
    best = select_best_trials(search.trials, study.search.objectives)
    winners = evaluate_winners(best, study.scorer, Windows(window, test), study.seed)
    if is_complete:
        log.merge()
        write_probes(folder, probes or [])
    summary = summarize_study(search.trials, winners, budget=study.search.trials, exhausted=exhausted)
    annualisation = annualise(bars.timestamp, bars.timeframe, study.bars.calendar)
    replace(summary, is_probed=probes is not None, annualisation=annualisation).write(folder)


@dataclass
class _Pen:
    """Collects finished trials and writes them as segments."""

    log: TrialLog
    unwritten: list[Trial] = field(default_factory=list)
    written_at: float = field(default_factory=time.monotonic)

    def add(self, trial: Trial) -> None:
        self.unwritten.append(trial)
        if time.monotonic() - self.written_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.unwritten:
            self.log.append(self.unwritten)
            self.unwritten = []
        self.written_at = time.monotonic()


@dataclass
class _Search:
    study: Study
    scorer: CandidateScorer
    window: BarWindow
    pen: _Pen
    trials: list[Trial]
    watch: Watch
    answers: dict[_Key, Trial] = field(default_factory=dict)

    def run(self, stop: Stop, studies: Location) -> Generator[bool, None, bool]:
        """Whether the space was exhausted. What is in the log is told again, not evaluated again."""
        self.answers = {_key(trial.params): trial for trial in self.trials}
        suggester = make_suggester(self.study.search, self.study.space, self.study.seed)
        peers = [studies / peer for peer in self.study.peers]
        suggester.enqueue(self.study.first)
        exchange = Exchange(peers, self.study.space, self.study.search, suggester.batch_size)
        number = 0
        try:
            while number < self.study.search.trials:
                if exchange.is_due(number) and not (yield from self._met(exchange, number, stop)):
                    break
                suggester.enqueue(self._migrants(exchange, number))
                # Batches are asked whole whatever the budget, so that a larger one finds the same trials first.
                candidates = suggester.ask(suggester.batch_size)
                if not candidates:
                    return True
                batch = self._evaluate(candidates, number, stop)
                if len(batch) < len(candidates):
                    break
                suggester.tell([self._told(trial) for trial in batch])
                number += len(batch)
        finally:
            self.pen.flush()
        return False

    def _met(self, exchange: Exchange, number: int, stop: Stop) -> Generator[bool, None, bool]:
        """Wait until the peers are far enough; False where the search is stopped meanwhile."""
        self.pen.flush()
        got_further = True
        while not exchange.is_ready(number):
            if stop():
                return False
            yield got_further
            got_further = False
        return True

    def _migrants(self, exchange: Exchange, number: int) -> list[Params]:
        """What the peers have found, as far as it is new here."""
        if not exchange.is_due(number):
            return []
        own = {_key(trial.params) for trial in self.trials[:number]}
        return [params for params in exchange.migrants(number) if _key(params) not in own]

    def _evaluate(self, candidates: Sequence[Params], first: int, stop: Stop) -> list[Trial]:
        numbered = list(enumerate(candidates[: self.study.search.trials - first], start=first))
        keys = [_key(params) for _, params in numbered]
        evaluated = self._trials(self._fresh(numbered, keys), self._evaluated)
        batch: list[Trial] = []
        for (number, params), key in zip(numbered, keys, strict=True):
            if number < len(self.trials):
                self._check_replay(self.trials[number], params)
            elif stop():
                break
            else:
                known = self.answers.get(key)
                trial = (
                    next(evaluated) if known is None else known._replace(number=number, duration_seconds=0.0)
                )
                self.answers[key] = trial
                self.trials.append(trial)
                self.pen.add(trial)
            batch.append(self.trials[number])
        return batch

    def probes(self, stop: Stop) -> list[Probe] | None:
        """What lies around the best; None where it was stopped, and nothing where it costs workers."""
        if self.watch.suspect >= len(self.trials):
            return []

        def evaluate(candidates: Sequence[tuple[int, Params]]) -> Iterator[Trial]:
            return self._trials(candidates, lambda some: self.scorer.trials(some, self.window))

        return around(self.trials, self.study.space, self.study.search.objectives[0], evaluate, stop)

    def _fresh(
        self, numbered: Sequence[tuple[int, Params]], keys: Sequence[_Key]
    ) -> list[tuple[int, Params]]:
        """Those that the log has neither as trials nor as the same candidates, which would answer them; each once."""
        fresh: dict[_Key, tuple[int, Params]] = {}
        for one, key in zip(numbered, keys, strict=True):
            if one[0] >= len(self.trials) and key not in self.answers:
                fresh.setdefault(key, one)
        return list(fresh.values())

    def _trials(self, candidates: Sequence[tuple[int, Params]], evaluated: Evaluate) -> Iterator[Trial]:
        if not self.watch.is_wary:
            yield from evaluated(candidates)
            return
        for number, params in candidates:
            # Written first, so that a note is always about the first trial that the log does not have.
            self.pen.flush()
            if self.watch.before(number):
                self._check_deaths(params)
                yield self.scorer.failed(number, params, DEADLY)
            else:
                yield from evaluated([(number, params)])

    def _evaluated(self, candidates: Sequence[tuple[int, Params]]) -> Iterator[Trial]:
        if self._rungs is None:
            return self.scorer.trials(candidates, self.window)
        return self._rungs.trials(candidates)

    @cached_property
    def _rungs(self) -> Rungs | None:
        """Knows the trials of the log when it is first asked for, and from then on those that it evaluates."""
        setting = self.study.search.early_stopping
        return Rungs(setting, self.scorer, self.window, self.answers.values()) if setting else None

    def _check_deaths(self, params: Params) -> None:
        deaths = sum(trial.reason == DEADLY for trial in self.trials)
        if deaths >= MAX_DEADLY_CANDIDATES:
            raise StrategyError(
                f"{self.study.strategy.name}: {deaths + 1} candidates ended their workers, such as {params}; "
                "run it alone with --executor inline to see why"
            )

    def _told(self, trial: Trial) -> Feedback:
        if trial.is_stopped:
            return told_of_stopped(trial, self.scorer.objectives)
        return Feedback(trial.values, self.scorer.told(trial))

    def _check_replay(self, logged: Trial, params: Params) -> None:
        if logged.params != params:
            raise ResultsError(
                f"study {self.study.id}: trial {logged.number} was {logged.params}, and would now be {params}; "
                "the log is not of this search: move the study's folder away"
            )


def _key(params: Params) -> _Key:
    values = tuple(params.values())
    # 1, 1.0 and True are equal but different candidates.
    return (*params, *values, *map(type, values))
