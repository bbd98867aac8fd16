"""The meaning of bare words in YAML: that of YAML 1.1 as PyYAML has it, with the numbers of YAML 1.2 and Python besides.

``1e-3`` and ``1E5`` are numbers, which PyYAML takes for text; ``1_000`` is one too. Numbers with a leading zero and
those with colons have the tag of a whole number, so that the reader can refuse them: ``0700`` is 448 in YAML 1.1 and 700 in
1.2, ``12:30`` is 750 in 1.1 and text in 1.2.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

TAG: Final = "tag:yaml.org,2002:"
# Left out: a lone '=', which PyYAML resolves to something that it cannot build.
_KEPT: Final = ("bool", "merge", "null", "timestamp")
_FLOAT: Final = re.compile(
    r"""[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN)""",
    re.VERBOSE,
)
_INT: Final = re.compile(
    r"""[-+]?0b[0-1_]+
    |[-+]?0x[0-9a-fA-F_]+
    |[-+]?[0-9][0-9_]*
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?""",
    re.VERBOSE,
)
AMBIGUOUS: Final = re.compile(r"[-+]?0_*[0-9][0-9_]*|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


def _build_resolvers() -> dict[str, list[tuple[str, Any]]]:
    before = yaml.SafeLoader.yaml_implicit_resolvers
    kept = {
        first: [(tag, pattern) for tag, pattern in known if tag.removeprefix(TAG) in _KEPT]
        for first, known in before.items()
    }
    for first in "-+0123456789.":
        numbers = [(f"{TAG}float", _match_whole(_FLOAT)), (f"{TAG}int", _match_whole(_INT))]
        kept[first] = [*kept.get(first, []), *numbers]
    return kept


def _match_whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern that matches a whole word, as the resolver matches at the beginning only."""
    return re.compile(rf"(?:{pattern.pattern})\Z", re.VERBOSE)


RESOLVERS: Final = _build_resolvers()
