"""What the cards of the page share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backtune.report.markup import Markup, element, joined
from backtune.report.plots.curves import Size
from backtune.report.wording import NOTHING

WIDE, HALF = Size(900, "broad"), Size(420, "broad")
_NARROW = Size(340, "narrow")


def heat(text: str, strength: float, class_: str = "") -> Markup:
    """A cell coloured from -1, worst, to 1, best."""
    side = "good" if strength >= 0 else "bad"
    if text == NOTHING:
        return element("td", text, class_="none")
    return element(
        "td", text, class_=f"{side} {class_}".strip(), style=f"--share:{round(60 * abs(strength))}%"
    )


def tone(value: float | None, known: Sequence[float], *, minimize: bool = False) -> float:
    """Where a value lies between the worst, -1, and the best, 1: about zero where both signs occur, else in the range."""
    if value is None or not known:
        return 0.0
    low, high = min(known), max(known)
    if low < 0 < high:
        share = value / max(-low, high)
    else:
        share = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
    return -share if minimize else share


def figure(title: str, note: str, *drawings: Markup, wide: bool = False) -> Markup:
    """A card with figures, a title over them and a sentence below."""
    return element(
        "figure", element("figcaption", title), joined(*drawings), element("p", note, class_="note") if note else None,
        class_="card wide" if wide else "card",
    )  # fmt: skip


def drawn(draw: Callable[[Size], Markup], broad: Size = WIDE) -> Markup:
    """A figure for broad screens and for narrow ones."""
    return joined(draw(broad), draw(_NARROW))
