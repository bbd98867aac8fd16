"""The reader and the writer of YAML. The reader builds values from nodes, so that every problem has its key and its line.

Bare words mean what they do in YAML 1.1 as PyYAML has it, with the numbers of YAML 1.2 and Python besides: ``1e-3`` and
``1E5`` are numbers, which PyYAML takes for text; ``1_000`` is one too. Numbers with a leading zero and those with colons
have the tag of a whole number, so that the reader can refuse them: ``0700`` is 448 in YAML 1.1 and 700 in 1.2, ``12:30``
is 750 in 1.1 and text in 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import yaml

from backtune.errors import SpecError
from backtune.spec.documents.problems import (
    LARGEST_WHOLE,
    TOO_DEEP,
    TOO_LARGE,
    RepeatedKeyError,
    format_place,
    join_path,
    shorten,
)

_TAG: Final = "tag:yaml.org,2002:"
# Left out: a lone '=', which PyYAML resolves to something that it cannot build.
_KEPT: Final = ("bool", "merge", "null", "timestamp")
_FLOAT: Final = re.compile(
    r"""(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))\Z""",
    re.VERBOSE,
)
_INT: Final = re.compile(
    r"""(?:[-+]?0b[0-1_]+
    |[-+]?0x[0-9a-fA-F_]+
    |[-+]?[0-9][0-9_]*
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)\Z""",
    re.VERBOSE,
)
_AMBIGUOUS: Final = re.compile(r"[-+]?0_*[0-9][0-9_]*|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_MERGE: Final = f"{_TAG}merge"
# Aliases of aliases make much of little: ten lines can stand for a billion values.
_MOST_VALUES: Final = 200_000


@dataclass(frozen=True)
class BareWord:
    """A bare word that YAML does not read as text.

    Attributes:
        text: The word as it is written in the file.
        value: The value that YAML reads.
        line: The line of the word, counted from 1.
    """

    text: str
    value: object
    line: int

    @property
    def meaning(self) -> str:
        """The value that YAML reads, in words."""
        if self.value is None:
            return "no value"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "a date" if isinstance(self.value, date) else "a number"


def _build_resolvers() -> dict[str, list[tuple[str, Any]]]:
    before = yaml.SafeLoader.yaml_implicit_resolvers
    kept = {
        first: [(tag, pattern) for tag, pattern in known if tag.removeprefix(_TAG) in _KEPT]
        for first, known in before.items()
    }
    for first in "-+0123456789.":
        numbers = [(f"{_TAG}float", _FLOAT), (f"{_TAG}int", _INT)]
        kept[first] = [*kept.get(first, []), *numbers]
    return kept


_RESOLVERS: Final = _build_resolvers()


class _Loader(yaml.SafeLoader):
    """A loader that composes nodes; :class:`_Builder` builds values from them."""

    yaml_implicit_resolvers = _RESOLVERS


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes every text that the reader here, or PyYAML's own, would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [*_RESOLVERS.get(first, []), *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
        for first in {*_RESOLVERS, *yaml.SafeDumper.yaml_implicit_resolvers}
    }


def parse_yaml(text: str, source: str = "") -> Iterator[tuple[Any, dict[str, BareWord]]]:
    """Yield the plain values of each document, with its bare words that are not text by their dotted paths.

    Keys are text, as they are written: in this, YAML is like JSON.

    Raises:
        RepeatedKeyError: A key stands twice in one mapping.
        SpecError: A value cannot be built, or is ambiguous; the message names the key and the line.
        yaml.YAMLError: The text is not YAML.
    """
    try:
        for node in yaml.compose_all(text, _Loader):
            builder = _Builder(source)
            yield builder.build(node, "", ()), builder.bare_words
    except RecursionError:
        raise SpecError(format_place(source, ""), TOO_DEEP) from None


def to_yaml(content: object) -> str:
    """Return plain values as YAML, keys in their order."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Builder:
    """The plain values of one document, built from its nodes."""

    def __init__(self, source: str) -> None:
        self._source = source
        scalars = yaml.constructor.SafeConstructor()
        self._kinds: dict[str, Callable[[yaml.ScalarNode], Any]] = {
            "null": scalars.construct_yaml_null,
            "bool": scalars.construct_yaml_bool,
            "int": _read_whole_number,
            "float": scalars.construct_yaml_float,
            "timestamp": scalars.construct_yaml_timestamp,
        }
        self._n_values = 0
        self.bare_words: dict[str, BareWord] = {}

    def build(self, node: yaml.Node, path: str, within: tuple[yaml.Node, ...]) -> Any:
        """Build the value of a node.

        Args:
            node: The node to build.
            path: The dotted path of the node.
            within: The nodes that it stands in.
        """
        self._n_values += 1
        if self._n_values > _MOST_VALUES:
            raise self._error(node, path, f"its aliases stand for more than {_MOST_VALUES:,} values")
        if node in within:
            raise self._error(node, path, "refers to itself")
        if isinstance(node, yaml.ScalarNode):
            return self._build_scalar(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            inside = (*within, node)
            return [self.build(one, join_path(path, i), inside) for i, one in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._build_mapping(node, path, within)
        raise self._unknown_tag(node, path)

    def _build_mapping(
        self, node: yaml.MappingNode, path: str, within: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        lines: dict[str, int] = {}
        own: dict[str, yaml.Node] = {}
        merged: dict[str, Any] = {}
        inside = (*within, node)
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, path, "a list or a mapping is no key; write a text")
            # Quoted, '<<' is a key like any other.
            name = _MERGE if key.tag == _MERGE else key.value
            line = key.start_mark.line + 1
            if name in lines:
                raise RepeatedKeyError(join_path(path, key.value), (lines[name], line), self._source)
            lines[name] = line
            if name == _MERGE:
                merged = self._build_merged(value, path, inside)
            else:
                own[name] = value
        return {
            **merged,
            **{name: self.build(value, join_path(path, name), inside) for name, value in own.items()},
        }

    def _build_merged(self, node: yaml.Node, path: str, within: tuple[yaml.Node, ...]) -> dict[str, Any]:
        """Build the mapping that ``<<`` brings in; of several mappings the first that has a key counts."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for one in reversed(nodes):
            if not isinstance(one, yaml.MappingNode):
                raise self._error(one, path, "'<<' takes a mapping, or a list of mappings")
            merged |= self.build(one, path, within)
        return merged

    def _build_scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "merge"):
            return node.value
        build = self._kinds.get(kind)
        if build is None:
            raise self._unknown_tag(node, path)
        try:
            value = build(node)
        except OverflowError:
            raise self._error(node, path, f"{shorten(node.value)} is {TOO_LARGE}") from None
        except (ValueError, KeyError, AttributeError):
            raise self._error(node, path, _describe_scalar_problem(kind, node.value)) from None
        if node.style is None:
            self.bare_words[path] = BareWord(node.value, value, node.start_mark.line + 1)
        return value

    def _unknown_tag(self, node: yaml.Node, path: str) -> SpecError:
        return self._error(node, path, f"the tag {node.tag.replace(_TAG, '!!')} is not read; leave it out")

    def _error(self, node: yaml.Node, path: str, problem: str) -> SpecError:
        return SpecError(format_place(self._source, path), f"{problem} (line {node.start_mark.line + 1})")


def _read_whole_number(node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    # More digits than any whole number of 64 bits has in base 2, and fewer than Python refuses to read.
    if len(text) > 70:
        raise OverflowError
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError
    number = int(text, 0)
    if abs(number) > LARGEST_WHOLE:
        raise OverflowError
    return number


def _describe_scalar_problem(kind: str, text: str) -> str:
    if kind == "timestamp":
        return f"{text} is read as a date, and there is no such day or time; correct it, or quote it if it is text"
    if kind != "int" or not _AMBIGUOUS.fullmatch(text):
        return f"{shorten(text)} is no {kind}"
    if ":" in text:
        return f"{text} is read as a number to base 60 in YAML 1.1, and as text in 1.2; write '{text}'"
    sign = "-" if text[0] == "-" else ""
    digits = text.lstrip("+-").replace("_", "")
    decimal = f"{sign}{digits.lstrip('0') or '0'}"
    if set(digits) <= set("01234567"):
        octal = f"{sign}{int(digits, 8)}"
        meant = f"read as {octal}, an octal number, in YAML 1.1, and as {decimal} in 1.2"
        numbers = f"{decimal} or {octal}"
    else:
        meant = f"read as text in YAML 1.1, and as the number {decimal} in 1.2"
        numbers = decimal
    return f"{text} is {meant}; write '{text}' if it is text, {numbers} if it is a number"
