"""The whole spec of a sweep, with a content id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from backtune.errors import SpecError
from backtune.space import RULES, Parameter, Rule, parse_parameter, parse_rules, read_numeric_bounds
from backtune.spec.documents import read_document
from backtune.spec.messages import to_spec_error
from backtune.spec.sections import (
    Compute,
    Data,
    Execution,
    Grid,
    Search,
    Section,
    StrategyFile,
    Tracking,
)
from backtune.spec.short_form import expand_short_form, short_form_error
from backtune.spec.validation import Validation


def hash_content(content: object) -> str:
    """Return the SHA-256 of the canonical JSON of plain data, of which content ids are made."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class SweepSpec(Section):
    """The spec of one sweep: its cells, bars, costs, budget and validation.

    Attributes:
        name: The name of the sweep: 1 to 80 letters, digits, spaces, ``.``, ``_`` or ``-``. It begins the name of the results'
            folder.
        data: The bars that are traded.
        grid: The strategies, assets and timeframes.
        space: The ranges and rules that replace a strategy's own, for ``Strategy``, ``Strategy/ASSET`` or
            ``Strategy/ASSET/TIMEFRAME``, with ``*`` for any.
        execution: The costs, sizing and stops.
        search: The sampler, budget and objectives.
        validation: The test of the winner on bars that the search never saw.
        compute: The machines and the time.
        tracking: The MLflow that results are tracked in.
    """

    name: str
    data: Data = Data()
    grid: Grid
    space: dict[str, dict[str, Any]] = Field(default_factory=dict)
    execution: Execution = Execution()
    search: Search = Search()
    validation: Validation = Validation()
    compute: Compute = Compute()
    tracking: Tracking = Tracking()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if re.fullmatch(r"\w[\w .-]{0,79}", name) is None:
            raise ValueError(
                "must be 1 to 80 letters, digits, spaces, '.', '_' or '-', a letter or digit first"
            )
        return name

    @field_validator("space")
    @classmethod
    def _read_space(cls, space: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for pattern, changes in space.items():
            for name, definition in _list_ranges(changes):
                parse_parameter(definition, key=f"space.{pattern}.{name}")
            for rule in parse_rules(changes, key=f"space.{pattern}"):
                Rule.parse(rule, key=f"space.{pattern}.{RULES}")
        # A number that came as text is the same number, and the content id is that of the same sweep.
        return {
            pattern: {name: read_numeric_bounds(definition) for name, definition in changes.items()}
            for pattern, changes in space.items()
        }

    @model_validator(mode="after")
    def _check_patterns(self) -> SweepSpec:
        axes = [
            [str(entry) for entry in axis]
            for axis in (self.grid.strategies, self.grid.assets, self.grid.timeframes)
        ]
        for pattern in self.space:
            parts = pattern.split("/")
            if len(parts) > len(axes):
                raise SpecError(
                    f"space.{pattern}",
                    "must be Strategy, Strategy/ASSET or Strategy/ASSET/TIMEFRAME",
                    value=pattern,
                )
            for part, axis in zip(parts, axes, strict=False):
                if part != "*" and part not in axis:
                    raise SpecError(
                        f"space.{pattern}", f"{part!r} is not in the grid", value=part, allowed=("*", *axis)
                    )
        return self

    @model_validator(mode="after")
    def _refuse_warm_start_of_permutations(self) -> SweepSpec:
        if self.validation.has_permutations and self.search.warm_start is not None:
            raise SpecError(
                "validation.permutations",
                "a search of permuted bars would begin with candidates that search.warm_start found on the real ones, "
                "and prove nothing; leave one of the two keys out",
                value=self.validation.permutations,
            )
        return self

    @classmethod
    def load(cls, path: str | Path) -> SweepSpec:
        """Read a YAML or JSON file; the short one-cell form is accepted too.

        A strategy file named in it is looked up beside the spec.

        Raises:
            SpecError: The file cannot be read, or the spec is not valid.
        """
        path = Path(path)
        document = read_document(path)
        if not isinstance(document.value, Mapping):
            raise SpecError(str(path), "holds no mapping of keys")
        try:
            return cls.parse(document.value, folder=path.parent)
        except SpecError as error:
            raise document.explain(error) from None

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, folder: Path | None = None) -> SweepSpec:
        """Validate a mapping of the spec's keys, or of the short one-cell form.

        Args:
            document: The keys of the spec.
            folder: The folder in which relative strategy files are looked up first.

        Raises:
            SpecError: The spec is not valid; the message names the key, the value and what is allowed.
        """
        try:
            spec = cls._validate(document)
        except SpecError as error:
            raise short_form_error(error) if "strategy_name" in document else error from None
        return spec._resolve_strategy_files(folder) if folder is not None else spec

    @classmethod
    def _validate(cls, document: Mapping[str, Any]) -> SweepSpec:
        full = expand_short_form(document) if "strategy_name" in document else dict(document)
        try:
            return cls.model_validate(full)
        except ValidationError as error:
            raise to_spec_error(error, cls) from None

    def to_json(self, *, exclude: Collection[str] = ()) -> dict[str, Any]:
        """Return the spec as plain data, as a spec file holds it, without the sections to exclude."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(exclude))

    @property
    def id(self) -> str:
        """The content id: the same for equal searches, whatever their budget, permutations, computing and tracking.

        Raising ``trials`` or ``permutations`` therefore goes on in the same runs folder instead of starting another.
        """
        content = self.to_json(exclude=("compute", "tracking"))
        del content["search"]["trials"]
        for key in ("permutations", "permuted_rows"):
            content["validation"].pop(key, None)
        for entry in content["grid"]["strategies"]:
            if isinstance(entry, dict):
                # The file's code is in the ids of its studies; its place is nobody's business.
                entry["file"] = Path(entry["file"]).name
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "sweep"
        return f"{slug}-{hash_content(content)[:10]}"

    def overrides(self, strategy: str, asset: str, timeframe: str) -> dict[str, Parameter]:
        """Return the ranges that the spec replaces in a cell; a later, matching pattern wins.

        Patterns are ``Strategy``, ``Strategy/ASSET`` or ``Strategy/ASSET/TIMEFRAME``, with ``*`` for any.
        """
        return {
            name: parse_parameter(definition, key=f"space.{pattern}.{name}")
            for pattern, changes in self._find_changes(strategy, asset, timeframe)
            for name, definition in _list_ranges(changes)
        }

    def rules(self, strategy: str, asset: str, timeframe: str) -> tuple[str, ...]:
        """Return the rules that the spec adds in a cell: those of every matching pattern."""
        matching = self._find_changes(strategy, asset, timeframe)
        return tuple(rule for pattern, changes in matching for rule in parse_rules(changes, key=pattern))

    def _find_changes(self, *cell: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (pattern, changes)
            for pattern, changes in self.space.items()
            if all(part in ("*", name) for part, name in zip(pattern.split("/"), cell, strict=False))
        ]

    def _resolve_strategy_files(self, folder: Path) -> SweepSpec:
        def resolve(entry: str | StrategyFile) -> str | StrategyFile:
            if isinstance(entry, str) or Path(entry.file).is_absolute():
                return entry
            beside = folder / entry.file
            return entry.model_copy(update={"file": str(beside)}) if beside.is_file() else entry

        strategies = tuple(resolve(entry) for entry in self.grid.strategies)
        return self.model_copy(update={"grid": self.grid.model_copy(update={"strategies": strategies})})


def _list_ranges(changes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, definition) for name, definition in changes.items() if name != RULES]
