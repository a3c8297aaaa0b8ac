# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of cadences: a weekly run that nobody started is silent, so the next report has to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration

DAY = 86400
#: How often each cadence is due, in days, unless the option says otherwise.
INTERVALS: Mapping[str, float] = {"daily": 1, "weekly": 7, "monthly": 31, "quarterly": 92}
#: A run may come this much later than its interval before it is called late: a window moves, a night is long.
TOLERANCE = 0.5


def parse_intervals(raw: object, *, option: str) -> dict[str, float]:
    """``{cadence: days}``; those named are expected even when the history has never seen them. Raises OptionError."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise OptionError(option, raw, "a mapping of cadences to days, such as {weekly: 7}")
    intervals = {}
    for name, days in raw.items():
        if name not in INTERVALS:
            raise OptionError(f"{option}.{name}", name, f"one of {', '.join(INTERVALS)}")
        if isinstance(days, bool) or not isinstance(days, (int, float)) or not 1 <= days <= 3660:
            raise OptionError(f"{option}.{name}", days, "a number of days from 1 to 3660")
        intervals[str(name)] = float(days)
    return intervals


def judge(
    runs: Mapping[str, Sequence[tuple[int, float]]], *, expected: Mapping[str, float], now: int
) -> list[dict[str, Any]]:
    """How late every cadence is that has run before or is expected; ``runs`` are (Unix time, hosts), newest first."""
    judged = []
    for cadence, usual in INTERVALS.items():
        seen = runs.get(cadence, ())
        if not seen and cadence not in expected:
            continue
        interval = int(expected.get(cadence, usual) * DAY)
        judged.append(_judge(cadence, seen, interval=interval, now=now))
    return judged


def _judge(cadence: str, seen: Sequence[tuple[int, float]], *, interval: int, now: int) -> dict[str, Any]:
    due = f"due every {duration(interval)}"
    if not seen:
        return {
            "cadence": cadence,
            "late": True,
            "age_seconds": None,
            "interval_seconds": interval,
            "hosts": 0,
            "missed": 1,
            "summary": f"has never run, but is {due}",
        }
    age = max(0, now - seen[0][0])
    missed = sum(_gaps(seen, interval=interval, now=now))
    hosts = int(seen[0][1])
    said = f"last ran {duration(age)} ago" if age >= 60 else "ran now"
    summary = f"{said} on {counted(hosts, 'host')}, {due}"
    if missed:
        summary += f"; {counted(missed, 'run')} missed in the last {duration(max(now - seen[-1][0], interval))}"
    return {
        "cadence": cadence,
        "late": age > interval * (1 + TOLERANCE),
        "age_seconds": age,
        "interval_seconds": interval,
        "hosts": hosts,
        "missed": missed,
        "summary": summary,
    }


def _gaps(seen: Sequence[tuple[int, float]], *, interval: int, now: int) -> list[int]:
    """How many runs are missing in each gap between runs, the one up to now included."""
    times = [now, *(at for at, _hosts in seen)]
    return [
        int((later - earlier) / interval - TOLERANCE) if later - earlier > interval * (1 + TOLERANCE) else 0
        for later, earlier in pairwise(times)
    ]
