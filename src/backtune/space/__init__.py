"""What may vary: parameters with their ranges, and spaces of them with rules and conditions.

- :mod:`.parameters`: ``Float``, ``Int``, ``Choice``
- :mod:`.rules`: what candidates keep between two parameters
- :mod:`.space`: parameters and rules together
- :mod:`.reading`: from the plain data of a spec
"""

from backtune.space.parameters import Choice, Float, Int, Parameter, Params, Value, parameter_to_json
from backtune.space.reading import parse_parameter, parse_rules, parse_space
from backtune.space.rules import Rule
from backtune.space.space import RULES, Space

__all__ = [
    "RULES",
    "Choice",
    "Float",
    "Int",
    "Parameter",
    "Params",
    "Rule",
    "Space",
    "Value",
    "parameter_to_json",
    "parse_parameter",
    "parse_rules",
    "parse_space",
]
