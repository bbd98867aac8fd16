"""Figures of a search: its progress, its parameters, its Pareto front."""

from __future__ import annotations

import numpy as np

from backtune.report.content import StudyContent, TrialColumns
from backtune.report.formatting import (
    IN_PERCENT,
    format_metric,
    format_metric_name,
    format_metric_title,
    format_param,
)
from backtune.report.markup import Markup, element, join_markup
from backtune.report.plots.axis import (
    Axis,
    format_percent_tick,
    format_tick,
    make_choice_axis,
    make_linear_axis,
    make_log_axis,
)
from backtune.report.plots.frame import Frame, draw_text
from backtune.report.plots.history import FigureSize
from backtune.report.plots.paths import draw_dots, draw_steps
from backtune.results.best_trials import find_pareto_front
from backtune.space import Parameter
from backtune.spec import Objective

MOST_DOTS = 400
_BEST_LINES = 30
_OTHER_LINES = 120


def draw_progress(study: StudyContent, trials: TrialColumns, size: FigureSize) -> Markup:
    """Draw every complete trial and the best so far."""
    objective, kept = study.objectives[0], trials.complete
    best = trials.best_so_far(objective)
    seen = ~np.isnan(best)
    y = make_value_axis(trials.values[kept, 0], objective)
    x = make_linear_axis(0, max(len(trials.numbers), 2), "Trial", size.n_ticks)
    frame = Frame(size.width, 230, x, y)
    shown = select_trials(trials, objective)
    changed = np.flatnonzero(seen & (best != np.concatenate([[np.nan], best[:-1]])))
    way = draw_steps(frame.across(trials.numbers[changed]), frame.up(best[changed]), frame.right)
    label = (
        f"{format_metric_title(objective.metric)} of {int(kept.sum()):,} complete trials; the best came with trial "
        f"{int(trials.numbers[changed[-1]])}: {format_metric(objective.metric, float(best[-1]))}."
    )
    points = draw_dots(frame.across(trials.numbers[shown]), frame.up(trials.values[shown, 0]))
    return frame.svg(
        label,
        element("path", class_="dots", d=points),
        element("path", class_="curve best", d=way),
        size=size.name,
    )


def draw_slice(study: StudyContent, trials: TrialColumns, name: str) -> Markup:
    """Draw the first objective against one parameter, with a ring around the winner."""
    objective, column = study.objectives[0], trials.params[name]
    shown = select_trials(trials, objective)
    shown = shown[~np.isnan(column[shown])]
    y = make_value_axis(trials.values[trials.complete, 0], objective)
    frame = Frame(250, 190, make_parameter_axis(study.space[name], column[shown], name), y)
    points = draw_dots(_spread(frame, study.space[name], column[shown]), frame.up(trials.values[shown, 0]))
    layers = [_near(frame, study, name), element("path", class_="dots", d=points)]
    if study.winner is not None and name in study.winner.params:
        row = int(np.searchsorted(trials.numbers, study.winner.number))
        x, y = frame.across(column[[row]])[0], frame.up(trials.values[[row], 0])[0]
        layers.append(element("circle", class_="ring", cx=float(x), cy=float(y), r=5))
    best = (
        format_param(study.winner.params[name]) if study.winner and name in study.winner.params else "not set"
    )
    label = f"{format_metric_title(objective.metric)} against {name}; the winner has {best}."
    return frame.svg(label, *(layer for layer in layers if layer is not None))


def _near(frame: Frame, study: StudyContent, name: str) -> Markup | None:
    """Draw the interval of the best candidate's neighbours; None without one."""
    around = study.surroundings
    return None if around is None or name not in around.box else frame.band(*around.box[name], "shade")


def draw_pareto_front(study: StudyContent, trials: TrialColumns, other: int, size: FigureSize) -> Markup:
    """Draw two objectives of the complete trials without the worst ones, and emphasize the Pareto front."""
    objectives = (study.objectives[0], study.objectives[other])
    complete = np.flatnonzero(trials.complete)
    values = trials.values[:, [0, other]]
    best = complete[find_pareto_front(values[complete].tolist(), objectives)]
    label = f"{format_metric_title(objectives[1].metric)} against {format_metric_title(objectives[0].metric)}: {len(best)} trials on the Pareto front."
    x, y = (make_value_axis(values[complete, k], objectives[k]) for k in range(2))
    frame = Frame(size.width, 280, x, y)
    shown = select_trials(trials, objectives[0])
    shown, best = (rows[_inside(values[rows, 0], x) & _inside(values[rows, 1], y)] for rows in (shown, best))
    return frame.svg(
        label,
        element(
            "path", class_="dots", d=draw_dots(frame.across(values[shown, 0]), frame.up(values[shown, 1]))
        ),
        element(
            "path", class_="dots best", d=draw_dots(frame.across(values[best, 0]), frame.up(values[best, 1]))
        ),
        size=size.name,
    )


def draw_parallel_coordinates(study: StudyContent, trials: TrialColumns, size: FigureSize) -> Markup:
    """Draw each trial as a line through the axes of all parameters and the first objective, with the best tenth emphasized."""
    objective = study.objectives[0]
    sign = -1.0 if objective.minimize else 1.0
    ranked = np.flatnonzero(trials.complete)
    ranked = ranked[np.argsort(-sign * trials.values[ranked, 0], kind="stable")]
    n_best = min(_BEST_LINES, max(1, len(ranked) // 10))
    others = ranked[n_best:]
    others = others[:: max(1, -(-len(others) // _OTHER_LINES))]
    scales = [
        (name, make_parameter_axis(study.space[name], column, "")) for name, column in trials.params.items()
    ]
    columns = [*trials.params.values(), trials.values[:, 0]]
    scales.append(
        (format_metric_title(objective.metric), make_value_axis(trials.values[trials.complete, 0], objective))
    )
    top, bottom, edge = 14.0, 206.0, 30.0
    places = np.linspace(edge, size.width - edge, len(scales))
    ups = [
        bottom - np.clip(axis.share(column), 0, 1) * (bottom - top)
        for (_, axis), column in zip(scales, columns, strict=True)
    ]
    layers = [
        element("path", class_="lines", d=_lines(places, ups, others)),
        element("path", class_="lines best", d=_lines(places, ups, ranked[:n_best])),
        *(
            _upright(float(place), name, axis, top, bottom)
            for place, (name, axis) in zip(places, scales, strict=True)
        ),
    ]
    label = (
        f"Parallel coordinates of {len(scales) - 1} parameters and the {format_metric_name(objective.metric)}: the best "
        f"{n_best} of {len(ranked):,} complete trials stand out."
    )
    return element(
        "svg",
        *layers,
        viewBox=f"0 0 {size.width:.0f} {bottom + 12 + 13 * max(len(_in_lines(name)) for name, _ in scales):.0f}",
        role="img",
        aria_label=label,
        class_=f"figure {size.name}",
    )


def select_trials(trials: TrialColumns, objective: Objective) -> np.ndarray:
    """Select the rows of complete trials to draw: a fifth of the room for the best, the rest for an even choice of the others."""
    rows = np.flatnonzero(trials.complete)
    if len(rows) <= MOST_DOTS:
        return rows
    sign = -1.0 if objective.minimize else 1.0
    order = np.argsort(-sign * trials.values[rows, 0], kind="stable")
    best, others = order[: MOST_DOTS // 5], np.sort(order[MOST_DOTS // 5 :])
    evenly = np.linspace(0, len(others) - 1, MOST_DOTS - len(best)).astype(int)
    return np.asarray(np.sort(rows[np.concatenate([best, others[evenly]])]))


def make_value_axis(values: np.ndarray, objective: Objective) -> Axis:
    """Make the axis of an objective; the worst twentieth lies at its edge or beyond, so that the rest is spread out."""
    low, high = float(values.min()), float(values.max())
    if objective.minimize:
        high = float(np.quantile(values, 0.95))
    else:
        low = float(np.quantile(values, 0.05))
    room = 0.04 * (high - low)
    text = format_percent_tick if objective.metric in IN_PERCENT else format_tick
    return make_linear_axis(low - room, high + room, format_metric_title(objective.metric), 5, text)


def _inside(values: np.ndarray, axis: Axis) -> np.ndarray:
    return np.asarray((values >= axis.low) & (values <= axis.high))


def make_parameter_axis(parameter: Parameter, column: np.ndarray, title: str) -> Axis:
    """Make the axis of a parameter's range, widened where candidates from outside it were given."""
    scale = parameter.scale
    if scale is None:
        return make_choice_axis([format_param(choice) for choice in parameter.ends()], title)
    seen = column[~np.isnan(column)]
    low, high = float(scale.low), float(scale.high)
    if len(seen):
        low, high = min(low, float(seen.min())), max(high, float(seen.max()))
    return make_log_axis(low, high, title, 4) if scale.is_log else make_linear_axis(low, high, title, 4)


def _spread(frame: Frame, parameter: Parameter, column: np.ndarray) -> np.ndarray:
    """Return horizontal coordinates, with trials of one choice spread beside each other."""
    if parameter.scale is not None:
        return frame.across(column)
    turns = (np.arange(len(column)) * 0.618) % 1.0
    return frame.across(column + 0.5 * (turns - 0.5))


def _lines(places: np.ndarray, ups: list[np.ndarray], rows: np.ndarray) -> str:
    """Return one line for each trial, which skips axes where it has no value."""
    found = []
    for row in rows.tolist():
        points = [f"{x:.0f} {y[row]:.0f}" for x, y in zip(places, ups, strict=True) if not np.isnan(y[row])]
        found.append("M" + "L".join(points))
    return "".join(found)


def _upright(place: float, name: str, axis: Axis, top: float, bottom: float) -> Markup:
    """Draw one of the parallel axes with labelled ends and its name below, one word a line."""
    ends = [axis.ticks[0], axis.ticks[-1]] if axis.ticks else []
    heights = bottom - axis.share(np.array([value for value, _ in ends])) * (bottom - top)
    return join_markup(
        element("path", class_="axis", d=f"M{place:.0f} {top:.0f}V{bottom:.0f}"),
        *(
            draw_text(place + 4, float(y) + 4, text, "note halo")
            for y, (_, text) in zip(heights, ends, strict=True)
        ),
        *(draw_text(place, bottom + 18 + 13 * i, part[:12], "m") for i, part in enumerate(_in_lines(name))),
    )


def _in_lines(name: str) -> list[str]:
    """Return the first three words of a name."""
    return name.replace("_", " ").split()[:3]
