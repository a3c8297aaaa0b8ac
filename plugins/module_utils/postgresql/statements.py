# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements between two runs: what costs most, what is slow, what became slower, what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement_counters import (
    USUAL_CALLS,
    Statements,
    Window,
    collect_statements,
    largest,
    memorable,
    windows,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Recalled,
    Snapshot,
    Topic,
    View,
    recall,
)

#: A mean of fewer calls than this is chance.
FEWEST_CALLS = 3
#: Statements that took less than this share of the time that has passed do not matter, whatever became of them.
MATTERS = 0.001
_SHOWN = 20
_DAY = 86400.0

CHECKS = (
    Check(
        "postgresql.statements",
        "Statements at work",
        "How many statements were being worked on at the same time since the last run, on average. The evidence names "
        "those that took most time, calls, temporary files, WAL and reading.",
        "Start with what takes most time in all, which often is a quick statement that is called too often.",
        "pg_stat_statements",
    ),
    Check(
        "postgresql.slow_statement",
        "Slowest statement",
        "Mean time since the last run of the statement with the longest, of those that ran at least 3 times.",
        "EXPLAIN (ANALYZE, BUFFERS) shows where the time goes. queries_exclude leaves out what may take long.",
        "pg_stat_statements.total_exec_time / calls",
        "s",
        Levels(info=1, warning=10),
    ),
    Check(
        "postgresql.statement_regression",
        "Statements that became slower",
        "How much longer than usual a statement took on average since the last run: the worst of those that ran 20 "
        "times now and before, and whose additional time matters (a thousandth of the time that has passed). Usual is "
        "the median of its means in up to four windows before.",
        "Compare its plan with the one of before; see whether its tables grew, or have not been analyzed "
        "(postgresql.analyze_due).",
        "pg_stat_statements.total_exec_time / calls",
        "%",
        Levels(info=50, warning=100),
    ),
    Check(
        "postgresql.new_statements",
        "New among the most expensive statements",
        "Share of all statements' time since the last run that went to those among the most expensive "
        "(statements_top) that had not been seen before. After a release of a program that is no surprise.",
        "See whether a release, a report or a person brought them.",
        "pg_stat_statements",
        "%",
        Levels(info=20, warning=60),
    ),
    Check(
        "postgresql.statement_evictions",
        "Statements that are no longer counted",
        "How often a day the server dropped the least used statements to make room for others. What is dropped is "
        "missing from all figures on statements.",
        "Raise pg_stat_statements.max, and look for programs that put values into names or lists of varying length.",
        "pg_stat_statements_info.dealloc",
        "",
        Levels(info=1, warning=24),
    ),
)


def statements(view: View) -> Iterator[Answer]:
    check = "postgresql.statements"
    found, recalled = _found(view)
    if not recalled.seconds(view.cluster.now):
        raise Absent("the clock has been set back since the last run: the next one compares")
    seconds = max(1.0, recalled.seconds(view.cluster.now))
    total_ms = _total(found)
    yield from view.measure(
        check,
        view.place,
        round(total_ms / 1000 / seconds, 4),
        "statements at work at the same time",
        note=f"{counted(len(found), 'statement')}, {counted(sum(window.calls for window in found), 'call')}, "
        f"{duration(total_ms / 1000)} in {duration(seconds)}",
        evidence=_most(found, total_ms, block_size=view.cluster.server.block_size),
    )
    for window in _worth_a_word(found[: min(_SHOWN, view.settings.statements_top)], total_ms):
        item = view.item(window.statement.database, str(window.statement.queryid))
        yield Metric("postgresql.statement_time", item, 100.0 * window.ms / max(total_ms, 0.001), "%")
        yield Metric("postgresql.statement_mean", item, window.mean, "ms")


def _most(found: Sequence[Window], total_ms: float, *, block_size: int) -> list[str]:
    def line(window: Window, most: str) -> str:
        return f"{most}, {_calls(window)}; {window.statement.words}"

    return [
        *(
            line(window, f"time {quantity(100 * window.ms / max(total_ms, 0.001), '%')}")
            for window in largest(found, "ms", amount=8)
        ),
        *(line(window, "most calls") for window in largest(found, "calls", amount=3)),
        *(
            line(window, f"temporary files {quantity(window.temp * block_size, 'B')}")
            for window in largest(found, "temp", amount=3)
        ),
        *(line(window, f"WAL {quantity(window.wal, 'B')}") for window in largest(found, "wal", amount=3)),
        *(
            line(window, f"read {quantity(window.read * block_size, 'B')}")
            for window in largest(found, "read", amount=3)
        ),
    ]


def slow_statement(view: View) -> Iterator[Answer]:
    check = "postgresql.slow_statement"
    found, _recalled = _found(view)
    excluded = [re.compile(expression) for expression in view.settings.queries_exclude]
    judged = [
        window
        for window in found
        if window.calls >= FEWEST_CALLS and not any(expression.search(window.statement.text) for expression in excluded)
    ]
    if not judged:
        words = f"no statement ran {FEWEST_CALLS} times since the last run: too few for a mean"
        yield view.state(check, view.place, "ok", words)
        return
    slowest = sorted(judged, key=lambda window: -window.mean)
    yield from view.measure(
        check,
        view.place,
        slowest[0].mean / 1000,
        "mean time of the slowest statement",
        evidence=[f"{_calls(window)}; {window.statement.words}" for window in slowest[:_SHOWN]],
    )


def statement_regression(view: View) -> Iterator[Answer]:
    check = "postgresql.statement_regression"
    found, recalled = _found(view)
    compared = [window for window in found if window.calls >= USUAL_CALLS and window.usual_mean]
    if not compared:
        raise Absent(f"no statement ran {USUAL_CALLS} times both since the last run and before it")
    matters = _matters_ms(view, recalled)
    slower = sorted(
        ((_growth(window), window) for window in compared if window.extra_ms > 0 and window.extra_ms >= matters),
        key=lambda entry: -entry[0],
    )
    yield from view.measure(
        check,
        view.place,
        slower[0][0] if slower else 0.0,
        "longer than usual",
        note=f"{counted(len(compared), 'statement')} compared",
        evidence=[
            f"{quantity(growth, '%')} longer: {_calls(window)}, usually {duration((window.usual_mean or 0.0) / 1000)}; "
            f"{window.statement.words}"
            for growth, window in slower[:_SHOWN]
        ],
    )


def new_statements(view: View) -> Iterator[Answer]:
    check = "postgresql.new_statements"
    found, recalled = _found(view)
    total_ms = _total(found)
    if total_ms < _matters_ms(view, recalled):
        words = f"all statements together took {duration(total_ms / 1000)} since the last run: too little to matter"
        yield view.state(check, view.place, "ok", words)
        return
    top = _worth_a_word(found[: view.settings.statements_top], total_ms)
    new = [window for window in top if window.new and window.statement.toplevel]
    yield from view.measure(
        check,
        view.place,
        100.0 * sum(window.ms for window in new) / max(total_ms, 0.001),
        "time that went to new statements",
        note=f"{counted(len(new), 'new statement')} among the {view.settings.statements_top} most expensive",
        evidence=[
            f"{quantity(100 * window.ms / total_ms, '%')}, {_calls(window)}; {window.statement.words}"
            for window in new[:_SHOWN]
        ],
    )


def statement_evictions(view: View) -> Iterator[Answer]:
    current: Statements = view.part("statements")
    if current.evictions is None:
        raise Absent(
            "this version of the extension does not tell what it dropped",
            remedy="ALTER EXTENSION pg_stat_statements UPDATE",
        )
    recalled = view.recall("statements")
    before = recalled.data.get("evictions")
    evictions = current.evictions
    if isinstance(before, int) and before <= evictions:
        evictions -= before
    # Several in the minutes between two runs by hand are not thousands a day.
    days = max(3600.0, recalled.seconds(view.cluster.now)) / _DAY
    yield from view.measure(
        "postgresql.statement_evictions",
        view.place,
        evictions if days < 1 else round(evictions / days, 2),
        "evictions of statements a day",
        note=f"{evictions} since the last run",
    )


def _found(view: View) -> tuple[list[Window], Recalled]:
    current: Statements = view.part("statements")
    recalled = view.recall("statements")
    return windows(current, recalled), recalled


def _total(found: Sequence[Window]) -> float:
    """Time of all statements; what ran within a function is in that of the statement that called it."""
    return sum(window.ms for window in found if window.statement.toplevel)


def _worth_a_word(found: Sequence[Window], total_ms: float) -> list[Window]:
    """Those that took a hundredth of the time of all; below it the end of the list is chance."""
    return [window for window in found if window.ms >= total_ms / 100]


def _matters_ms(view: View, recalled: Recalled) -> float:
    return MATTERS * 1000 * recalled.seconds(view.cluster.now)


def _growth(window: Window) -> float:
    usual = window.usual_mean or 0.0
    return 100.0 * (window.mean / usual - 1) if usual else 0.0


def _calls(window: Window) -> str:
    words = f"{counted(window.calls, 'call')} of {duration(window.mean / 1000)}"
    # Known only with pg_stat_statements.track_planning, and worth a word where it costs as much as the work.
    planned = window.plan_ms and window.plan_ms >= window.ms
    return f"{words} and {duration(window.plan_ms / window.calls / 1000)} of planning" if planned else words


def carry(snapshot: Snapshot, memory: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    current = snapshot.parts.get("statements")
    if not isinstance(current, Statements):
        return {}
    try:
        recalled: Recalled | None = recall(memory, "statements", server=snapshot.server)
    except Absent:
        recalled = None
    return {"statements": memorable(current, recalled)}


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.statements": (statements, ("statements",)),
        "postgresql.slow_statement": (slow_statement, ("statements",)),
        "postgresql.statement_regression": (statement_regression, ("statements",)),
        "postgresql.new_statements": (new_statements, ("statements",)),
        "postgresql.statement_evictions": (statement_evictions, ("statements",)),
    },
    cluster={"statements": collect_statements},
    carry=carry,
)
