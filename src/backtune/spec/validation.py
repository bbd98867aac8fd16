"""The section of the spec on the out-of-sample test of a search's winner."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from backtune.errors import SpecError
from backtune.spec.sections import Seconds, Section

Method = Literal["none", "holdout", "kfold", "walk_forward"]

# The keys of each method. A fraction beside "none" is left when only the method of a spec is changed.
_KEYS: dict[str, tuple[str, ...]] = {
    "none": ("test_fraction", "permutations", "permuted_rows"),
    "holdout": ("test_fraction", "permutations", "permuted_rows"),
    "kfold": (
        "test_fraction",
        "folds",
        "deviation",
        "embargo",
        "purge_bars",
        "permutations",
        "permuted_rows",
    ),
    "walk_forward": ("folds", "train", "test", "anchored", "purge_bars"),
}


class Validation(Section):
    """The test of the winner on bars that the search never saw; :mod:`backtune.validation.folds` draws the windows.

    Attributes:
        method: The windows: ``holdout`` searches the first part of the time and tests on the last. ``kfold`` does the same, and its
            objective is the mean over several windows of the first part, none of which is ever left out: a regulariser, not
            cross-validation. ``walk_forward`` searches several times, each time testing on what comes next. ``none`` searches
            all.
        test_fraction: The share of the time, at its end, that is the test (holdout, kfold).
        folds: The number of windows in which every candidate is scored (kfold), or of searches, each with a test (walk_forward).
        deviation: The number of standard deviations by which the mean over the windows is worsened to give the objective (kfold).
        embargo: The share of the time that is left out between windows, besides the purge (kfold).
        purge_bars: The number of bars left out: for kfold at least between windows, the strategy's lookback where that is longer;
            for walk_forward between a train window and its test.
        train, test: The lengths of the windows (walk_forward), in seconds or as in ``180d``. Without both, a train window
            is three times a test window and all of the time is used; without one, it takes what the other leaves.
        anchored: True if every train window begins where the first does, instead of moving along (walk_forward).
        permutations: The number of times (none, holdout, kfold) that a search is repeated on permuted bars of its train
            window, to see how often luck does as well; 0 is off, and 199 a usual number. More of them go on with the same sweep.
        permuted_rows: The number of searches, from the first of the leaderboard on, that are repeated (none, holdout, kfold).
    """

    method: Method = "holdout"
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    folds: Annotated[int, Field(ge=2, le=1_000)] = 5
    deviation: Annotated[float, Field(ge=0)] = 0.0
    embargo: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    purge_bars: Annotated[int, Field(ge=0)] = 0
    train: Seconds | None = None
    test: Seconds | None = None
    anchored: bool = False
    permutations: Annotated[int, Field(ge=0)] = 0
    permuted_rows: Annotated[int, Field(ge=1)] = 3

    @property
    def has_permutations(self) -> bool:
        """True if searches are repeated on permuted bars."""
        return self.permutations > 0

    @model_validator(mode="after")
    def _refuse_keys_of_other_methods(self) -> Validation:
        for key in self.model_fields_set - {"method", *_KEYS[self.method]}:
            methods = ", ".join(name for name in get_args(Method)[1:] if key in _KEYS[name])
            raise SpecError(
                f"validation.{key}",
                f"belongs to {methods}, and the method is {self.method}",
                value=key,
                allowed=("method", *_KEYS[self.method]),
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_keys_of_other_methods(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        return {key: value for key, value in content.items() if key in ("method", *_KEYS[self.method])}
