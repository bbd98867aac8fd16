"""The space of a search: parameters with their ranges, the rules between them and the conditions on them.

- :mod:`.numbers`: numbers that are written as text
- :mod:`.scale`: the arithmetic of a range of numbers
- :mod:`.parameters`: ``Float``, ``Int``, ``Choice`` and their interface
- :mod:`.rules`: rules between two parameters
- :mod:`.space`: parameters and rules together
- :mod:`.reading`: spaces in the plain data of a spec
"""

from backtune.space.numbers import NUMBER, is_finite, parse_number
from backtune.space.parameters import Choice, Float, Int, Parameter, Params, Value, read_numeric_choices
from backtune.space.reading import parse_parameter, parse_rules, parse_space, read_numeric_bounds
from backtune.space.rules import Rule
from backtune.space.scale import Scale
from backtune.space.space import RULES, Space

__all__ = [
    "NUMBER",
    "RULES",
    "Choice",
    "Float",
    "Int",
    "Parameter",
    "Params",
    "Rule",
    "Scale",
    "Space",
    "Value",
    "is_finite",
    "parse_number",
    "parse_parameter",
    "parse_rules",
    "parse_space",
    "read_numeric_bounds",
    "read_numeric_choices",
]
