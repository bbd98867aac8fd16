"""The frame of a figure: the coordinates of values, the grid, and the labels of the axes.

A figure is static SVG of a fixed width, coloured by the style sheet of the page around it: a wide and a narrow drawing
of the same figure serve a desktop and a phone, with letters of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtune.report.markup import Markup, element, format_coordinate, join_markup
from backtune.report.plots.axis import Axis

LETTER = 6.4
_LINE = 14.0
_RIGHT = 12.0


@dataclass(frozen=True)
class Frame:
    """A rectangle with two axes; y grows upwards.

    Attributes:
        width: Width of the whole drawing.
        height: Height of the whole drawing.
        x: Horizontal axis.
        y: Vertical axis.
        indent: Least distance of the y axis from the left edge, which aligns figures below each other.
    """

    width: float
    height: float
    x: Axis
    y: Axis
    indent: float = 0.0

    @property
    def left(self) -> float:
        return max(self.indent, 8.0 + LETTER * max((len(name) for _, name in self.y.ticks), default=0))

    @property
    def right(self) -> float:
        return self.width - _RIGHT

    @property
    def top(self) -> float:
        return 10.0 + (_LINE if self.y.title else 0.0)

    @property
    def bottom(self) -> float:
        return self.height - 8.0 - (_LINE if self.x.ticks else 0.0) - (_LINE if self.x.title else 0.0)

    def across(self, values: np.ndarray) -> np.ndarray:
        """Return the horizontal coordinates of values of the x axis."""
        share = self.x.share(np.asarray(values, dtype=float))
        return np.asarray(self.left + share * (self.right - self.left))

    def up(self, values: np.ndarray) -> np.ndarray:
        """Return the vertical coordinates of values of the y axis, clipped to its ends."""
        share = np.clip(self.y.share(np.asarray(values, dtype=float)), 0.0, 1.0)
        return np.asarray(self.bottom - share * (self.bottom - self.top))

    def band(self, start: float, end: float, class_: str) -> Markup:
        """Draw a rectangle over an interval of the x axis, from top to bottom."""
        left, right = self.across(np.array([start, end]))
        width = max(0.0, right - left)
        return element("rect", class_=class_, x=left, y=self.top, width=width, height=self.bottom - self.top)

    def svg(self, label: str, *layers: Markup, size: str = "") -> Markup:
        """Render the figure with its layers over the grid.

        Args:
            label: The description for screen readers.
            layers: The drawings inside the frame.
            size: The style class with which a page chooses one of several drawings.
        """
        return element(
            "svg",
            self._grid(),
            *layers,
            self._names(),
            viewBox=f"0 0 {format_coordinate(self.width)} {format_coordinate(self.height)}",
            role="img",
            aria_label=label,
            class_=f"figure {size}".strip(),
        )

    def _grid(self) -> Markup:
        ups = self.up(np.array([value for value, _ in self.y.ticks]))
        lines = [
            f"M{format_coordinate(self.left)} {format_coordinate(y)}H{format_coordinate(self.right)}"
            for y in ups
        ]
        return join_markup(
            element("path", class_="grid", d="".join(lines)),
            element(
                "path",
                class_="axis",
                d=f"M{format_coordinate(self.left)} {format_coordinate(self.bottom)}H{format_coordinate(self.right)}",
            ),
        )

    def _names(self) -> Markup:
        ups = self.up(np.array([value for value, _ in self.y.ticks]))
        beside = [
            draw_text(self.left - 5, y + 3.5, name, "e")
            for y, (_, name) in zip(ups, self.y.ticks, strict=True)
        ]
        titles = [
            draw_text(0, 11, self.y.title, "title") if self.y.title else None,
            draw_text(self.right, self.height - 4, self.x.title, "title e") if self.x.title else None,
        ]
        return join_markup(*beside, *self._names_below(), *titles)

    def _names_below(self) -> list[Markup]:
        """Return the labels of the x axis, without those that would overlap the one before."""
        found = []
        free = 0.0
        for at, (_, name) in zip(
            self.across(np.array([value for value, _ in self.x.ticks])), self.x.ticks, strict=True
        ):
            length = LETTER * len(name)
            left = min(max(at - length / 2, 0.0), self.width - length)
            if left >= free:
                found.append(draw_text(left + length / 2, self.bottom + _LINE, name, "m"))
                free = left + length + 6
        return found


def draw_text(x: float, y: float, content: str, class_: str = "") -> Markup:
    """Draw a text in a figure; the classes ``m`` and ``e`` centre it or end it at x."""
    return element("text", content, x=float(x), y=float(y), class_=class_)
