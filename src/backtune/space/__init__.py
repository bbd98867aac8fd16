"""What may vary: parameters with their ranges, and spaces of them with rules and conditions.

- :mod:`.numbers`: numbers that arrive as text
- :mod:`.parameters`: ``Float``, ``Int``, ``Choice``
- :mod:`.rules`: what candidates keep between two parameters
- :mod:`.space`: parameters and rules together
- :mod:`.reading`: from the plain data of a spec
"""

from backtune.space.numbers import NUMBER, as_number, is_finite
from backtune.space.parameters import Choice, Float, Int, Parameter, Params, Value, numeric, parameter_to_json
from backtune.space.reading import parse_parameter, parse_rules, parse_space, plain_definition
from backtune.space.rules import Rule
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
    "Space",
    "Value",
    "as_number",
    "is_finite",
    "numeric",
    "parameter_to_json",
    "parse_parameter",
    "parse_rules",
    "parse_space",
    "plain_definition",
]
