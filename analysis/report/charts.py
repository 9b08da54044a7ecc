"""Charts as inline SVG that follow the page's colours, light or dark.

matplotlib draws with placeholder colours, which are then replaced by `currentColor` and the page's
CSS variables; text stays text. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.inert import one_line

MOST_POINTS = 400
SERIES_COLOURS = [f"#a0000{index}" for index in range(8)]
_INK, _RULE = "#101010", "#202020"
_PLACEHOLDERS = {
    _INK: "currentColor",
    _RULE: "var(--rule)",
    **{colour: f"var(--s{index})" for index, colour in enumerate(SERIES_COLOURS)},
}
# Any: the keys of matplotlib's rc parameters are a type of 300 literals.
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may hold a dollar sign
    "svg.hashsalt": "coderl",  # the same data gives the same bytes
    "font.size": 9,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _RULE,
    "grid.linewidth": 0.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True, slots=True)
class Series:
    """A line: `low` and `high` draw a band around it where given, or `bars` where x does not only grow.

    `colour`: by default the series' place in the chart.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    markers: bool = False
    colour: int | None = None
    bars: bool = False


SHADES = {"exploitation": SERIES_COLOURS[1], "exploration": SERIES_COLOURS[2]}


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch of the x axis that belongs to a stage."""

    start: float
    end: float
    stage: str


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str = "step",
    log2: bool = False,
    log_y: bool = False,
    shades: Sequence[Shade] = (),
) -> str:
    """An SVG element; "" where no series has a point. `log2` puts powers of two on the x axis."""
    drawn = [one for one in map(thin, series) if len(one.x)]
    if not drawn:
        return ""
    if log_y:
        drawn = _above_zero(drawn)
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(title, x_label)
        _shade(axes, shades)
        for index, one in enumerate(drawn):
            number = index if one.colour is None else one.colour
            colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
            marker = "o" if one.markers or len(one.x) == 1 else ""
            label = one_line(one.label, 60) or "_unnamed"  # matplotlib lists no label with an underscore
            axes.plot(one.x, one.y, color=colour, label=label, marker=marker, markersize=4)
            if one.low is not None and one.high is not None and one.bars:
                axes.vlines(one.x, one.low, one.high, color=colour, linewidth=0.8)
            elif one.low is not None and one.high is not None:
                axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.18, linewidth=0)
        if log2:
            _power_of_two_axis(axes, sorted({x for one in drawn for x in one.x}))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=x_label == "step", steps=[1, 2, 5, 10]))
        if log_y:
            axes.set_yscale("log")
        if len(drawn) > 1 or shades:
            axes.legend(loc="best")
        return _svg(figure, title)


def area_chart(title: str, x: Sequence[float], parts: Mapping[str, Sequence[float]]) -> str:
    """Shares stacked over x; "" where there are fewer than two points."""
    if len(x) < 2 or not parts:
        return ""
    thinned = {label: thin(Series(label, x, values)) for label, values in parts.items()}
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(title, "step")
        xs = next(iter(thinned.values())).x
        colours = [SERIES_COLOURS[index % len(SERIES_COLOURS)] for index in range(len(thinned))]
        heights = [one.y for one in thinned.values()]
        axes.stackplot(xs, heights, labels=list(thinned), colors=colours, alpha=0.75)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
        axes.set_ylim(bottom=0)
        axes.legend(loc="best", ncols=2)
        return _svg(figure, title)


def thin(series: Series) -> Series:
    """At most `MOST_POINTS` points: means of equal runs of neighbours, undefined points left out."""
    columns = [series.x, series.y, *(c for c in (series.low, series.high) if c is not None)]
    points = [point for point in zip(*columns, strict=True) if all(math.isfinite(value) for value in point)]
    if len(points) > MOST_POINTS:
        cuts = [index * len(points) // MOST_POINTS for index in range(MOST_POINTS + 1)]
        runs = [points[a:b] for a, b in pairwise(cuts)]
        points = [tuple(sum(column) / len(run) for column in zip(*run, strict=True)) for run in runs]
    x, y, *band = [list(column) for column in zip(*points, strict=True)] if points else [[], []]
    low, high = band if len(band) == 2 else (None, None)
    return replace(series, x=x, y=y, low=low, high=high)


def _figure(title: str, x_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 2.7))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.14, 0.17, 0.84, 0.71))  # fixed, so that charts align
    axes.set_title(one_line(title, 60))
    axes.set_xlabel(x_label)
    axes.set_axisbelow(True)
    return figure, axes


def _power_of_two_axis(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _above_zero(series: Sequence[Series]) -> list[Series]:
    """For a logarithmic axis: zero is drawn as half of the smallest value above it."""
    least = min((y for one in series for y in one.y if y > 0), default=1e-3) / 2

    def raised(values: Sequence[float] | None) -> list[float] | None:
        return None if values is None else [max(value, least) for value in values]

    return [replace(one, y=raised(one.y) or [], low=raised(one.low), high=raised(one.high)) for one in series]


def _shade(axes: Axes, shades: Sequence[Shade]) -> None:
    named: set[str] = set()
    for shade in shades:
        if colour := SHADES.get(shade.stage):
            label = "_again" if shade.stage in named else shade.stage
            axes.axvspan(shade.start, shade.end, color=colour, alpha=0.13, linewidth=0, label=label)
            named.add(shade.stage)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)
    # Generated group names repeat from chart to chart; nothing refers to them.
    text = re.sub(r' id="[A-Za-z.]+\d*_\d+"', "", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    for placeholder, colour in _PLACEHOLDERS.items():
        text = text.replace(placeholder, colour)
    box = re.search(r'viewBox="([\d. ]*)"', text)
    opening = Markup('<svg viewBox="{}" role="img" aria-label="{}">')
    return opening.format(box[1] if box else "", one_line(title, 60)) + Markup(text[text.index(">") + 1 :])
