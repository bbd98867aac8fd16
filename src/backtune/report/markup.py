"""HTML and SVG elements as text. Text that is not markup already is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

_VOID = frozenset({"meta", "br", "hr"})
_SELF_CLOSING = frozenset({"path", "line", "rect", "circle"})


@dataclass(frozen=True)
class Markup:
    """Text that is markup already, and is not escaped again."""

    text: str


Child = Markup | str | None
Attribute = str | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Build an element.

    Args:
        name: The name of the element.
        children: The content; text is escaped, None is left out.
        attributes: The attributes; ``class_`` and ``aria_label`` stand for ``class`` and ``aria-label``; None and False are left out,
            True is an attribute without a value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    inside = join_markup(*children).text
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    if name in _SELF_CLOSING and not inside:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{inside}</{name}>")


def join_markup(*children: Child) -> Markup:
    """Concatenate pieces of markup and text."""
    return Markup(
        "".join(
            child.text if isinstance(child, Markup) else _escaped(child)
            for child in children
            if child is not None
        )
    )


def format_coordinate(value: float) -> str:
    """Format a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{_escaped(value) if isinstance(value, str) else format_coordinate(value)}"'


def _escaped(text: str) -> str:
    """Escape text and remove control characters, which markup must not contain."""
    return escape("".join(letter for letter in text if letter.isprintable() or letter in "\n\t"))
