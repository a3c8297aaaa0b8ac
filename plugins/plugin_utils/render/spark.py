# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small plots without a library: numbers in, SVG out; the one text, a unit, is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity

WIDTH, HEIGHT, MARGIN = 120, 26, 3


def sparkline(points: Sequence[tuple[int, float]], levels: Mapping[str, float], *, unit: str) -> Markup:
    """The course of a number, its levels as dashed lines where they are near, the last point marked.

    ``points`` are (Unix time, value), oldest first; fewer than three draw nothing.
    """
    if len(points) < 3:
        return Markup("")
    values = [value for _at, value in points]
    low, high = _range(values, levels)
    start, span = points[0][0], max(1, points[-1][0] - points[0][0])

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2 * MARGIN), 1)

    path = " ".join(f"{MARGIN + (at - start) / span * (WIDTH - 2 * MARGIN):.1f},{y(value)}" for at, value in points)
    lines = "".join(
        f'<line class="lv {name}" x1="0" x2="{WIDTH}" y1="{y(limit)}" y2="{y(limit)}"/>'
        for name in ("info", "warning", "critical")
        if (limit := levels.get(name)) is not None and low <= limit <= high
    )
    said = (
        f"{counted(len(points), 'run')}: from {quantity(min(values), unit)} to {quantity(max(values), unit)}, "
        f"now {quantity(values[-1], unit)}"
    )
    drawn = (
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(said)}</title>{lines}'
        f'<polyline points="{path}"/><circle cx="{WIDTH - MARGIN}" cy="{y(values[-1])}" r="2.2"/></svg>'
    )
    return Markup(drawn)  # noqa: S704 - figures and one escaped sentence


def _range(values: Sequence[float], levels: Mapping[str, float]) -> tuple[float, float]:
    """The plot's bounds: the values, and a level where it is no further away than the values are spread twice."""
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) * 0.1 or 1.0
    for name in ("info", "warning", "critical"):
        limit = levels.get(name)
        if limit is not None and low - 2 * spread <= limit <= high + 2 * spread:
            low, high = min(low, limit), max(high, limit)
    if high == low:
        low, high = low - spread / 2, high + spread / 2
    return low, high


def stacked(amounts: Sequence[tuple[str, int]]) -> Markup:
    """A bar of parts, each in the colour of its status; a part that is there is at least visible."""
    total = sum(amount for _status, amount in amounts)
    if not total:
        return Markup("")
    shares = [(status, max(amount / total * 1000, 6)) for status, amount in amounts if amount]
    scale = 1000 / sum(share for _status, share in shares)
    at, parts = 0.0, []
    for status, share in shares:
        parts.append(
            f'<rect class="{escape(status)}" x="{at:.1f}" y="0" width="{max(share * scale - 2, 1):.1f}" height="10"/>'
        )
        at += share * scale
    drawn = (
        f'<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    )
    return Markup(drawn)  # noqa: S704 - figures and escaped class names
