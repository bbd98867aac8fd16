"""Figures about the robustness of a winner: its neighbourhood, a map of two parameters, and halves of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from backtune.report.content import StudyContent, TrialColumns
from backtune.report.formatting import format_metric, format_metric_title, format_share
from backtune.report.markup import Markup, element, join_markup
from backtune.report.neighbourhood import NeighbourComparison
from backtune.report.plots.axis import make_linear_axis
from backtune.report.plots.colour_scale import SIGNED_METRICS, compute_colour
from backtune.report.plots.frame import Frame
from backtune.report.plots.history import FigureSize
from backtune.report.plots.paths import draw_dots
from backtune.report.plots.search import MOST_DOTS, make_parameter_axis, make_value_axis
from backtune.space import Scale
from backtune.spec import Objective
from backtune.validation.overfitting import Overfitting
from backtune.validation.plateau import RADIUS

MOST_CELLS = 12
_FAINTEST, _STRONGEST = 0.08, 0.9


def draw_plateau(around: NeighbourComparison, objective: Objective, size: FigureSize) -> Markup:
    """Draw every complete trial by its distance from the best, with its neighbours emphasized and both medians."""
    known = np.isfinite(around.values) & np.isfinite(around.distances)
    far = max(2 * RADIUS, float(around.distances[known].max()))
    title = "Largest difference from the winner, share of the range"
    x = make_linear_axis(0.0, far, title if size.width > 400 else "Difference from the winner", size.n_ticks)
    frame = Frame(size.width, 250, x, make_value_axis(around.values[np.isfinite(around.values)], objective))
    layers = [frame.band(0.0, min(RADIUS, far), "shade")]
    for rows, class_ in ((known & ~around.is_near, "dots"), (known & around.is_near, "dots near")):
        shown = _evenly(np.flatnonzero(rows))
        points = draw_dots(frame.across(around.distances[shown]), frame.up(around.values[shown]))
        layers.append(element("path", class_=class_, d=points))
    for value, start, end in (
        (around.neighbourhood, 0.0, min(RADIUS, far)),
        (around.elsewhere, min(RADIUS, far), far),
    ):
        if value is not None:
            layers.append(_level(frame, value, start, end))
    layers.append(_ring(frame, 0.0, around.best_value))
    label = (
        f"{format_metric_title(objective.metric)} of the trials by distance from the winner, which has "
        f"{format_metric(objective.metric, around.best_value)}: its neighbours have {format_metric(objective.metric, around.neighbourhood)} "
        f"in the middle, all others {format_metric(objective.metric, around.elsewhere)}; plateau {format_share(around.stability)}."
    )
    return frame.svg(label, *layers, size=size.name)


@dataclass(frozen=True, eq=False)
class ParameterMap:
    """Median results of the trials in the cells of a grid over two numeric parameters.

    Attributes:
        names: Names of the horizontal and the vertical parameter.
        edges: Boundaries of the cells in the parameters' units.
        medians: (n_across, n_up) medians of the first objective, NaN without a complete trial.
    """

    names: tuple[str, str]
    edges: tuple[np.ndarray, np.ndarray]
    medians: np.ndarray

    @property
    def known(self) -> list[float]:
        """Return the defined medians, at least one."""
        return [value for value in self.medians.ravel().tolist() if not np.isnan(value)]


def build_parameter_map(study: StudyContent, trials: TrialColumns) -> ParameterMap | None:
    """Build the map of the two most important numeric parameters that vary; None with fewer, or if no trial has both."""
    numbers = [
        (name, scale)
        for name in study.importance
        if (scale := study.space[name].scale) is not None and scale.high > scale.low
    ]
    if len(numbers) < 2:
        return None
    (first, across), (second, up) = numbers[:2]
    edges = compute_cell_edges(across), compute_cell_edges(up)
    columns = trials.params[first], trials.params[second]
    medians = compute_cell_medians(columns, trials.values[:, 0], trials.complete, edges)
    return None if np.isnan(medians).all() else ParameterMap((first, second), edges, medians)


def draw_parameter_map(
    study: StudyContent, trials: TrialColumns, shown: ParameterMap, size: FigureSize
) -> Markup:
    """Draw the medians as colours, with cells left empty where nothing was tried."""
    objective, names, known = study.objectives[0], shown.names, shown.known
    x, y = (make_parameter_axis(study.space[name], trials.params[name], name) for name in names)
    frame = Frame(size.width, 300, x, y)
    layers = [_cells(frame, shown, objective)]
    if study.surroundings is not None and all(name in study.surroundings.box for name in names):
        layers.append(_outline(frame, *(study.surroundings.box[name] for name in names)))
    winner = study.winner
    if winner is not None and all(name in winner.params for name in names):
        layers.append(_ring(frame, *(float(winner.params[name]) for name in names)))
    label = (
        f"Median {format_metric_title(objective.metric)} by {names[0]} and {names[1]}, in {len(known)} of {shown.medians.size} cells: "
        f"from {format_metric(objective.metric, min(known))} to {format_metric(objective.metric, max(known))}."
    )
    return frame.svg(label, *layers, size=size.name)


def compute_cell_edges(scale: Scale) -> np.ndarray:
    """Compute the boundaries of cells over a parameter's range: midpoints of a short grid, or a dozen equal intervals."""
    if not scale.is_continuous and 1 < scale.n_levels <= MOST_CELLS:
        values = scale.levels()
        return np.concatenate([values[:1], (values[:-1] + values[1:]) / 2, values[-1:]])
    spread = np.geomspace if scale.is_log else np.linspace
    return spread(scale.low, scale.high, MOST_CELLS + 1)


def compute_cell_medians(
    columns: Sequence[np.ndarray], values: np.ndarray, kept: np.ndarray, edges: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the (n_cells of the first, n_cells of the second) medians of the kept values, NaN for empty cells.

    Args:
        columns: (n,) values of two parameters, NaN where inactive; values outside the edges are in no cell.
        values: (n,) values of the objective.
        kept: (n,) booleans that tell whether a trial counts.
        edges: Boundaries of the cells of both parameters.
    """
    places = [
        np.clip(np.searchsorted(ends, column, side="right") - 1, 0, len(ends) - 2)
        for column, ends in zip(columns, edges, strict=True)
    ]
    inside = kept.copy()
    for column, ends in zip(columns, edges, strict=True):
        inside &= (column >= ends[0]) & (column <= ends[-1])
    medians = np.full([len(ends) - 1 for ends in edges], np.nan)
    for i, j in set(zip(places[0][inside].tolist(), places[1][inside].tolist(), strict=True)):
        medians[i, j] = np.median(values[inside & (places[0] == i) & (places[1] == j)])
    return medians


def draw_time_splits(splits: Overfitting, scale: float, size: FigureSize) -> Markup:
    """Draw the Sharpe ratios of the best trial of one half of the time, there and in the other half.

    Args:
        splits: The results of all splits of the time.
        scale: The factor from a Sharpe ratio per bar to one per year.
        size: The size of the figure.
    """
    inside, outside = splits.is_sharpe * scale, splits.oos_sharpe * scale
    x = make_linear_axis(
        float(inside.min()), float(inside.max()), "Sharpe ratio in the half it was chosen by", size.n_ticks
    )
    y = make_linear_axis(
        min(0.0, float(outside.min())), max(0.0, float(outside.max())), "Sharpe ratio in the other half"
    )
    frame = Frame(size.width, 250, x, y)
    shown = _evenly(np.arange(len(inside)))
    zero = frame.up(np.zeros(1))[0]
    layers = [
        element("line", class_="axis", x1=frame.left, x2=frame.right, y1=float(zero), y2=float(zero)),
        element("path", class_="dots", d=draw_dots(frame.across(inside[shown]), frame.up(outside[shown]))),
    ]
    label = (
        f"Sharpe ratio of the best of half of the time in the other half, in {len(inside):,} ways: below zero in "
        f"{100 * splits.probability_of_loss:.0f}%."
    )
    return frame.svg(label, *layers, size=size.name)


def _cells(frame: Frame, shown: ParameterMap, objective: Objective) -> Markup:
    across = [frame.across(np.array(ends)).tolist() for ends in pairwise(shown.edges[0])]
    up = [frame.up(np.array(ends)).tolist() for ends in pairwise(shown.edges[1])]
    known, is_signed = shown.known, objective.metric in SIGNED_METRICS
    found = []
    for (i, j), value in np.ndenumerate(shown.medians):
        if np.isnan(value):
            continue
        strength = compute_colour(float(value), known, is_signed=is_signed, minimize=objective.minimize)
        (left, right), (bottom, top) = across[i], up[j]
        opacity = _FAINTEST + (_STRONGEST - _FAINTEST) * abs(strength)
        found.append(
            element(
                "rect",
                class_=f"cell {'good' if strength >= 0 else 'bad'}",
                x=left,
                y=top,
                width=right - left,
                height=bottom - top,
                fill_opacity=f"{opacity:.2f}",
            )
        )
    return join_markup(*found)


def _outline(frame: Frame, across: tuple[float, float], up: tuple[float, float]) -> Markup:
    left, right = frame.across(np.array(across)).tolist()
    bottom, top = frame.up(np.array(up)).tolist()
    return element("rect", class_="nearby", x=left, y=top, width=right - left, height=bottom - top)


def _level(frame: Frame, value: float, start: float, end: float) -> Markup:
    left, right = frame.across(np.array([start, end])).tolist()
    y = float(frame.up(np.array([value]))[0])
    return element("line", class_="level", x1=left, x2=right, y1=y, y2=y)


def _ring(frame: Frame, x: float, y: float) -> Markup:
    at = float(frame.across(np.array([x]))[0]), float(frame.up(np.array([y]))[0])
    return element("circle", class_="ring", cx=at[0], cy=at[1], r=5)


def _evenly(rows: np.ndarray) -> np.ndarray:
    """Return an even choice of the rows, as many as are drawn."""
    if len(rows) <= MOST_DOTS:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, MOST_DOTS).astype(int)])
