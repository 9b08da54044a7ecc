"""The page as one HTML file: template, style, script and data inlined, nothing loaded from anywhere.

Model-written text reaches the page by two ways only: the template, which escapes, and a JSON block
that the script shows through `textContent`. A content security policy allows no script but ours
(by its hash) and no request at all, should either ever fail.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

# What the script reads; the rest of the page's data is in the HTML itself and in the JSON beside it.
_SCRIPT_DATA = ("columns", "issues", "grids", "records", "prompts", "tests")


def render(page: Mapping[str, Any], charts: Sequence[str]) -> str:
    """HTML text. `charts` are SVG elements of our own making."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, interval=interval, signed=signed, p_value=p_value, count=count)
    environment.globals.update(sparkline=sparkline)
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(_asset("report.html.j2")).render(
        page=page,
        charts=[Markup(svg) for svg in charts],
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_hash=digest,
        data=Markup(script_json({key: page[key] for key in _SCRIPT_DATA})),
    )


def script_json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII only
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def number(value: float | None) -> str:
    """Three significant places below 10, none above 1000; a dash for what was not measured."""
    if value is None:
        return "-"
    if abs(value) >= 1000 or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(estimate: Mapping[str, Any] | None) -> str:
    """`[low, high]`, or nothing where there is no interval."""
    if estimate is None or estimate.get("low") is None:
        return ""
    return f"[{number(estimate['low'])}, {number(estimate['high'])}]"


def signed(value: float) -> str:
    return f"{value:+.3f}"


def p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def sparkline(values: Sequence[float]) -> Markup:
    """A line of at most 32 points, scaled to its own maximum."""
    if len(values) < 2:
        return Markup("")
    top = max(values) or 1.0
    step = 80 / (len(values) - 1)
    points = " ".join(f"{i * step:.1f},{19 - 17 * value / top:.1f}" for i, value in enumerate(values))
    label = f"share of training completions, from {values[0]:.1%} to {values[-1]:.1%}, at most {top:.1%}"
    return Markup(
        '<svg class="spark" viewBox="0 0 80 20" role="img" aria-label="{}"><title>{}</title>'
        '<polyline points="{}"/></svg>'
    ).format(label, label, points)


def _asset(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")
