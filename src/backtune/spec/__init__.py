"""The spec of a sweep: frozen and validated, with a content id; unknown keys are refused."""

from backtune.spec.messages import describe_problem, to_spec_error
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
    read_sessions_per_year,
)
from backtune.spec.sweep_spec import SweepSpec, hash_content
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
    "describe_problem",
    "hash_content",
    "read_sessions_per_year",
    "to_spec_error",
]
