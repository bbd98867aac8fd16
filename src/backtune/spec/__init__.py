"""The spec of a sweep: frozen and validated, with a content id; unknown keys are refused."""

from backtune.spec.content import content_hash
from backtune.spec.messages import describe_problem, spec_error
from backtune.spec.sections import (
    DISTANCES,
    Constraint,
    Data,
    EarlyStopping,
    Execution,
    Grid,
    Objective,
    SamplerName,
    Search,
    StrategyFile,
    base_folder,
    sessions_of_calendar,
)
from backtune.spec.sweep_spec import SweepSpec
from backtune.spec.validation import Validation

__all__ = [
    "DISTANCES",
    "Constraint",
    "Data",
    "EarlyStopping",
    "Execution",
    "Grid",
    "Objective",
    "SamplerName",
    "Search",
    "StrategyFile",
    "SweepSpec",
    "Validation",
    "base_folder",
    "content_hash",
    "describe_problem",
    "sessions_of_calendar",
    "spec_error",
]
