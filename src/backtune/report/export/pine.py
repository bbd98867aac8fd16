"""Pine Script v6: a tuned strategy as a complete ``strategy()`` for TradingView.

The signal is the strategy's own Pine fragment, see :mod:`backtune.report.export.pine_signal`; the rest is generated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from string import Template
from textwrap import wrap

from backtune.errors import ReportError
from backtune.report.export.pine_differences import list_differences
from backtune.report.export.pine_execution import (
    LEVEL_ROUNDING,
    LOT_ROUNDING,
    TICK_FUNCTION,
    choose_commission,
    render_fill_price,
)
from backtune.simulation.costs import split_params
from backtune.space import Parameter, Params, Space, Value
from backtune.spec import DISTANCES, Execution

_TEMPLATES = Path(__file__).parent / "pine_templates"
_WIDTH = 110
_INCREMENTS = ("lot_size", "tick_size")
_DECLARED = re.compile(r"^(?:var |const )?(?:int|float|bool) (\w+) =", flags=re.MULTILINE)
# Words of the language, its namespaces, and variables that a parameter must not hide.
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """allow_short and array bar_index bool box close color const continue else enum export false float for hl2 hlc3
        high if import in input int label line linefill lot_size low map math matrix method na not nz ohlc4 on_tick
        open or order_size plot polyline series side simple slippage_share str strategy string switch syminfo ta table
        tick_size ticker time timeframe true type var varip volume while""",
    )
)


@dataclass(frozen=True)
class PineSource:
    """The content of a script.

    Attributes:
        strategy: Name of the strategy.
        title: Title on the chart.
        signal: Pine fragment that sets ``side``.
        params: Tuned parameters, with the distances of the stops that were searched.
        space: Ranges of the parameters, which bound the inputs.
        execution: Execution rules of the sweep.
        about: Lines of the comment at the top.
        has_funding: True if the bars carried funding payments.
    """

    strategy: str
    title: str
    signal: str
    params: Params
    space: Space
    execution: Execution
    about: Sequence[str] = ()
    has_funding: bool = False


def render_pine_script(source: PineSource) -> str:
    """Render the script, with a comment that lists its differences from a backtest in backtune.

    Raises:
        ReportError: A parameter cannot be a variable in Pine, or the fragment sets no ``side``.
    """
    if re.search(r"\bside\b", source.signal) is None:
        raise ReportError(f"{source.strategy}: its Pine template sets no variable `side` to 1, 0 or -1")
    rules = source.execution.with_distances(source.params)
    has_exits = any(getattr(rules, name) for name in DISTANCES)
    points = [f"- {text}" for text in list_differences(rules, has_funding=source.has_funding)]
    commission = choose_commission(rules)
    exits = ""
    if has_exits:
        entry = render_fill_price("strategy.position_avg_price", "held", rules)
        exits = _template("exits").substitute(entry=entry, levels=LEVEL_ROUNDING if rules.tick_size else "")
    return _template("frame").substitute(
        about=_comment([*source.about, "", "What differs from backtune:", *points]),
        title=quote_pine_text(source.title),
        initial_cash=format_pine_number(rules.initial_cash),
        commission_kind=commission.kind,
        commission=format_pine_number(commission.value),
        inputs="\n".join(_inputs(source, rules, has_exits=has_exits)),
        strategy=_in_one_line(source.strategy),
        signal=source.signal.strip("\n"),
        functions=TICK_FUNCTION if rules.tick_size else "",
        fill_price=render_fill_price("close", "target", rules),
        lots=LOT_ROUNDING if rules.lot_size else "",
        # An order of quantity zero would leave the old position open.
        is_some=" and quantity > 0" if rules.lot_size else "",
        exits=exits,
    )


def quote_pine_text(text: str) -> str:
    """Quote text as a Pine string in one line."""
    escaped = _in_one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def format_pine_number(value: float) -> str:
    """Format a number for Pine with every digit and without an exponent."""
    plain = format(Decimal(repr(value)), "f")
    return plain if isinstance(value, int) or "." in plain else f"{plain}.0"


def _inputs(source: PineSource, rules: Execution, *, has_exits: bool) -> list[str]:
    own, _ = split_params(source.params)
    inputs: dict[str, Value] = dict(own)
    if has_exits:
        inputs |= {name: getattr(rules, name) or 0.0 for name in DISTANCES}
    for name in own:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in _RESERVED | _declared():
            raise ReportError(
                f"{source.strategy}: the parameter {name!r} cannot be a variable's name in Pine; rename it in the strategy"
            )
    lines = [_input(name, value, source.space.get(name)) for name, value in inputs.items()]
    return [
        *lines,
        _input("order_size", rules.size, None),
        _input("slippage_share", rules.slippage_bps / 10_000, None),
        _input("allow_short", rules.allow_short, None),
        *[_input(name, value, None) for name in _INCREMENTS if (value := getattr(rules, name))],
    ]


def _input(name: str, value: Value, parameter: Parameter | None) -> str:
    kind = _kind(name, value, parameter)
    bounds: list[str] = []
    scale = None if parameter is None else parameter.scale
    if scale is not None:
        ends = {"minval": scale.low, "maxval": scale.high, "step": scale.step}
        bounds = [f"{key} = {_literal(end, kind)}" for key, end in ends.items() if end is not None]
    elif parameter is None:
        bounds = ["minval = 0.0"] if kind == "float" else []
    elif parameter.n_levels > 1 and kind != "bool":
        bounds = [f"options = [{', '.join(_literal(choice, kind) for choice in parameter.ends())}]"]
    return f"{name} = input.{kind}({', '.join([_literal(value, kind), quote_pine_text(name), *bounds])})"


def _kind(name: str, value: Value, parameter: Parameter | None) -> str:
    kinds = {type(value), *(() if parameter is None else parameter.value_types)}
    if kinds in ({bool}, {str}):
        return "bool" if kinds == {bool} else "string"
    if kinds & {bool, str}:
        raise ReportError(f"the choices of {name} are of several kinds, and an input in Pine has one")
    return "float" if float in kinds else "int"


def _literal(value: Value, kind: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote_pine_text(value)
    return format_pine_number(float(value) if kind == "float" else value)


@cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.pine").read_text(encoding="utf-8"))


def _declared() -> frozenset[str]:
    """Return the variables that the templates declare."""
    return frozenset(
        name for file in ("frame", "exits") for name in _DECLARED.findall(_template(file).template)
    )


def _comment(lines: Iterable[str]) -> str:
    wrapped = (
        part
        for line in lines
        for part in wrap(_in_one_line(line), _WIDTH - 3, subsequent_indent="  ", break_long_words=False)
        or [""]
    )
    return "\n".join(f"// {part}".rstrip() for part in wrapped)


def _in_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
