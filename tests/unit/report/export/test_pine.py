"""Pine scripts as text; tests/pine runs them."""

import re

import pytest

from backtune.errors import ReportError
from backtune.report.export.pine import PineSource, format_pine_number, quote_pine_text, render_pine_script
from backtune.report.export.pine_differences import list_differences
from backtune.report.export.pine_signal import read_signal
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Execution, StrategyFile
from backtune.strategy.registry import BUILT_IN


def source(**changes):
    """A strategy of one parameter; ``changes`` replace what it is made of."""
    defaults = {
        "strategy": "Mine", "title": "Mine", "signal": "int side = close > n ? 1 : 0", "params": {"n": 5},
        "space": Space(n=Int(1, 9)), "execution": Execution(),
    }  # fmt: skip
    return PineSource(**{**defaults, **changes})


def line_of(script: str, start: str) -> str:
    (line,) = [line for line in script.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        ('a "b"', '"a \\"b\\""'),
        ("a\\", '"a\\\\"'),
        ('\\"', '"\\\\\\""'),
        ("two\nlines\r\tand\x00more\u2028end", '"two lines  and more end"'),
        ("Ünïcode 日本", '"Ünïcode 日本"'),
    ],
)
def test_strings_are_escaped(text, expected):
    assert quote_pine_text(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, "3"), (-2, "-2"), (3.0, "3.0"), (0.1, "0.1"), (1e-7, "0.0000001"), (1e22, "10000000000000000000000.0"),
     (0.30000000000000004, "0.30000000000000004"), (123456.789, "123456.789")],
)  # fmt: skip
def test_numbers_have_every_digit_and_no_exponent(value, expected):
    assert format_pine_number(value) == expected
    assert float(expected) == value


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Int(3, 40), 12, 'input.int(12, "n", minval = 3, maxval = 40, step = 1)'),
        (Int(2, 10, step=4), 6, 'input.int(6, "n", minval = 2, maxval = 10, step = 4)'),
        (Float(0, 1), 0.25, 'input.float(0.25, "n", minval = 0.0, maxval = 1.0)'),
        (Float(0.1, 0.5, step=0.1), 0.2, 'input.float(0.2, "n", minval = 0.1, maxval = 0.5, step = 0.1)'),
        (Float(1e-6, 1e-2, log=True), 1e-5, 'input.float(0.00001, "n", minval = 0.000001, maxval = 0.01)'),
        (Choice((1, 5, 9)), 5, 'input.int(5, "n", options = [1, 5, 9])'),
        (Choice((1, 2.5)), 1, 'input.float(1.0, "n", options = [1.0, 2.5])'),
        (Choice(("up", 'd"n')), "up", 'input.string("up", "n", options = ["up", "d\\"n"])'),
        (Choice((True, False)), False, 'input.bool(false, "n")'),
        (Choice((7,)), 7, 'input.int(7, "n")'),
        (Choice((0.5,)), 0.5, 'input.float(0.5, "n")'),
    ],
)
def test_parameters_become_inputs_with_the_bounds_of_the_space(parameter, value, expected):
    script = render_pine_script(source(params={"n": value}, space=Space(n=parameter)))
    assert line_of(script, "n = ") == f"n = {expected}"


def test_the_declaration_states_the_rules():
    rules = Execution(initial_cash=2500, size=0.4, fee_bps=7.5, slippage_bps=2.1, allow_short=False)
    script = render_pine_script(source(execution=rules, title='My "best"'))
    assert script.startswith("//@version=6\n")
    declaration = script[script.index("strategy(") : script.index("process_orders_on_close") + 32]
    for part in (
        '"My \\"best\\""', "initial_capital = 2500.0", "pyramiding = 0", "commission_value = 0.096",
        "strategy.commission.percent", "margin_long = 0", "margin_short = 0", "process_orders_on_close = false",
    ):  # fmt: skip
        assert part in declaration
    assert line_of(script, "order_size") == 'order_size = input.float(0.4, "order_size", minval = 0.0)'
    assert line_of(script, "slippage_share").startswith("slippage_share = input.float(0.00021, ")
    assert line_of(script, "allow_short") == 'allow_short = input.bool(false, "allow_short")'
    assert "strategy.exit" not in script


@pytest.mark.parametrize(
    ("rules", "kind", "value"),
    [
        ({}, "percent", "0.12"),
        ({"slippage_bps": 0, "fee_bps": 0}, "percent", "0.0"),
        ({"slippage_bps": 0, "fee_bps": 0, "fee_per_order": 1.5}, "cash_per_order", "1.5"),
        ({"slippage_bps": 0, "fee_bps": 0, "minimum_fee": 2}, "cash_per_order", "2.0"),
        ({"slippage_bps": 0, "fee_bps": 0, "minimum_fee": 2, "fee_per_order": 3}, "cash_per_order", "3.0"),
        ({"slippage_bps": 0, "fee_bps": 0, "fee_per_share": 0.005}, "cash_per_contract", "0.005"),
        ({"slippage_bps": 0, "fee_bps": 0, "fee_per_share": 0.005, "minimum_fee": 1}, "cash_per_order", "1.0"),
        ({"slippage_bps": 0, "fee_per_order": 1}, "percent", "0.1"),
        ({"fee_bps": 0, "fee_per_share": 0.005}, "percent", "0.02"),
    ],
)  # fmt: skip
def test_the_commission_is_of_the_kind_that_the_fees_are(rules, kind, value):
    script = render_pine_script(source(execution=Execution(**rules)))
    assert f"commission_type = strategy.commission.{kind}, commission_value = {value}," in script


def test_lots_and_ticks_are_in_a_script_where_the_rules_have_them():
    plain = render_pine_script(source(execution=Execution(stop_loss=0.1)))
    assert not re.search(r"lot_size|on_tick|tick_size|quantity > 0", plain)
    script = render_pine_script(source(execution=Execution(stop_loss=0.1, lot_size=0.001, tick_size=0.05)))
    assert line_of(script, "lot_size") == 'lot_size = input.float(0.001, "lot_size", minval = 0.0)'
    assert line_of(script, "tick_size") == 'tick_size = input.float(0.05, "tick_size", minval = 0.0)'
    assert (
        line_of(script, "quantity :=")
        == "quantity := math.floor(quantity / lot_size * (1 + 1.0e-12)) * lot_size"
    )
    assert "(on_tick(close * (1 + target * slippage_share), target))" in script
    assert "if target > 0 and quantity > 0" in script
    assert line_of(script, "stop_level :=") == "stop_level := on_tick(stop_level, -held)"


def test_searched_and_fixed_stops_become_inputs():
    rules = Execution(stop_loss={"type": "float", "low": 0.01, "high": 0.1}, trailing_stop=0.15)
    space = Space(n=Int(1, 9), stop_loss=Float(0.01, 0.1))
    script = render_pine_script(source(params={"n": 5, "stop_loss": 0.034}, space=space, execution=rules))
    assert (
        line_of(script, "stop_loss")
        == 'stop_loss = input.float(0.034, "stop_loss", minval = 0.01, maxval = 0.1)'
    )
    assert (
        line_of(script, "trailing_stop") == 'trailing_stop = input.float(0.15, "trailing_stop", minval = 0.0)'
    )
    assert line_of(script, "take_profit") == 'take_profit = input.float(0.0, "take_profit", minval = 0.0)'
    assert 'strategy.exit("Long exit", "Long"' in script


def test_what_is_said_at_the_top_stays_a_comment():
    about = ["first\nstrategy.entry(0)", "x" * 300, 'quote " and \\', "word " * 60]
    script = render_pine_script(source(about=about))
    top = script[: script.index("\nstrategy(")]
    assert all(line.startswith("//") for line in top.splitlines())
    assert "// first strategy.entry(0)" in top
    assert "// What differs from backtune:" in top


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "1st",
        "ünder",
        "for",
        "close",
        "side",
        "held",
        "allow_short",
        "EQUAL",
        "quantity",
        "lot_size",
        "on_tick",
        "",
    ],
)
def test_a_parameter_that_cannot_be_a_variable_is_refused(name):
    with pytest.raises(ReportError, match=re.escape(f"the parameter {name!r} cannot be a variable's name")):
        render_pine_script(source(params={name: 1}, space=Space({name: Int(1, 2)})))


def test_choices_of_several_kinds_are_refused():
    with pytest.raises(ReportError, match="the choices of n are of several kinds"):
        render_pine_script(source(params={"n": 1}, space=Space(n=Choice((1, "a")))))


def test_a_template_without_a_side_is_refused():
    with pytest.raises(ReportError, match="Mine: its Pine template sets no variable `side`"):
        render_pine_script(source(signal="int sides = 1"))


STOPPED = {"stop_loss": 0.1, "take_profit": 0.1}


@pytest.mark.parametrize(
    ("rules", "funding", "said", "unsaid"),
    [
        ({"slippage_bps": 0}, False, ["A quantity is fixed"], ["Slippage", "Funding", "first bar of a position", "touches"]),
        ({"slippage_bps": 3}, False, ["Slippage is 3 basis points", "itself, 3e-07 of"], ["A fill at the target"]),
        ({"slippage_bps": 3, "fee_bps": 0}, False, ["Slippage is 3"], ["The fee on the slippage"]),
        ({}, True, ["Funding payments are not"], []),
        ({"stop_loss": 0.1}, False, ["first bar of a position"], ["touches both", "A fill at the target"]),
        (STOPPED, False, ["touches both", "pays 12 basis points as every fill does", "pays 10."], []),
        ({**STOPPED, "slippage_bps": 0}, False, ["touches both"], ["A fill at the target"]),
        ({"fee_per_order": 1, "minimum_fee": 2}, False, ["does not charge 1 an order and the minimum of 2 an order:"], ["A reversal"]),
        ({"fee_per_share": 0.005}, False, ["does not charge 0.005 a share:"], []),
        ({"slippage_bps": 0, "fee_bps": 0, "minimum_fee": 2}, False, ["A reversal is one order in backtune, which pays 2 once"], ["not charge"]),
        ({"slippage_bps": 0, "fee_bps": 0, "fee_per_share": 2}, False, [], ["not charge", "A reversal"]),
        ({"slippage_bps": 0, "fee_bps": 0, "fee_per_share": 2, "minimum_fee": 9}, False, ["charge 2 a share:", "pays 9 once"], ["the minimum"]),
        ({"tick_size": 0.25, "lot_size": 1}, False, ["on ticks of 0.25"], ["not charge"]),
        ({**STOPPED, "slippage_bps": 0, "maker_fee_bps": 1}, False, ["pays 10 basis", "pays 1."], []),
    ],
)  # fmt: skip
def test_the_differences_are_those_of_the_rules(rules, funding, said, unsaid):
    text = "\n".join(list_differences(Execution(**rules), has_funding=funding))
    assert all(part in text for part in said), text
    assert not any(part in text for part in unsaid), text


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_strategy_has_a_template_that_uses_its_parameters(name):
    signal = read_signal(name)
    assert "side" in signal
    for parameter in BUILT_IN[name].space():
        assert re.search(rf"\b{parameter}\b", signal)


def test_a_template_is_looked_for_beside_the_users_file(tmp_path):
    file = StrategyFile.model_validate({"file": str(tmp_path / "my.py"), "class": "Mine"})
    with pytest.raises(ReportError, match=rf"Mine has no Pine template: write {tmp_path}/Mine.pine"):
        read_signal(file)
    (tmp_path / "Mine.pine").write_text("int side = 1\n")
    assert read_signal(file) == "int side = 1\n"
    (tmp_path / "Mine.pine").write_bytes(b"\xff\xfe")
    with pytest.raises(ReportError, match=r"Mine.pine: cannot be read"):
        read_signal(file)
