"""The command ``backtune strategies``."""

from __future__ import annotations

import inspect

from rich.table import Table

from backtune.cli.options import Json, make_stdout_console, print_json
from backtune.space import Parameter


def strategies(json: Json = False) -> None:
    """List the strategies that a spec may name, with their parameters."""
    from backtune.strategy.registry import StrategyFactory

    known = {name: StrategyFactory.get(name) for name in StrategyFactory.names()}
    if json:
        print_json({name: {"space": strategy.space().to_json()} for name, strategy in known.items()})
        return
    table = Table("strategy", "what it does", "parameters")
    for name, strategy in known.items():
        space = strategy.space()
        lines = [
            *(f"{key} {_format_range(parameter)}" for key, parameter in space.items()),
            *map(str, space.rules),
        ]
        table.add_row(name, (inspect.getdoc(strategy) or "").split("\n")[0], "\n".join(lines))
    make_stdout_console().print(table)


def _format_range(parameter: Parameter) -> str:
    conditions = [f"{name} is {' or '.join(map(str, values))}" for name, values in parameter.when.items()]
    when = f" when {' and '.join(conditions)}" if conditions else ""
    scale = parameter.scale
    if scale is None:
        return " | ".join(map(str, parameter.ends())) + when
    return f"{scale.low:g} .. {scale.high:g}{when}"
