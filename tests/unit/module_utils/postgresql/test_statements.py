# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements between two runs: exact where everything is known, bounded where it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement_counters import (
    MOST,
    Statement,
    Statements,
    memorable,
    windows,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statements import TOPIC, carry
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Recalled, Settings, Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

HOUR = timedelta(hours=1)
EARLIER = replace(SERVER, now=NOW - HOUR)
EARLIEST = replace(SERVER, now=NOW - 2 * HOUR)
#: Captured from PostgreSQL 18, pg_stat_statements 1.12.
ORDERS = Statement(
    database_oid=16384,
    database="shop",
    queryid=-4205617433226713411,
    toplevel=True,
    calls=1000,
    ms=4000.0,
    plan_ms=0.0,
    rows=1000,
    read=10,
    temp=0,
    wal=0,
    since=NOW - timedelta(days=9),
    text='SELECT * FROM "Order" WHERE owner = $1 AND note <> $2',
)
ITEMS = replace(ORDERS, queryid=99, ms=900.0, calls=90, text="UPDATE item SET name = 'secret of eve'")


def seen(*entries: Statement, complete: bool = True, reset: datetime | None = None, evictions: int = 0) -> Statements:
    ranked = sorted(entries, key=lambda entry: -entry.ms)
    return Statements(tuple(ranked), complete=complete, evictions=evictions, reset=reset)


def memory(statements: Statements, *, server: Any = EARLIER, past: dict[str, Any] | None = None) -> dict[str, Any]:
    entries = carry(Snapshot(server, server.now, parts={"statements": statements}), past or {})
    # What is remembered goes through a file.
    return json.loads(json.dumps(remembered(server, **entries)))


def recalled(statements: Statements) -> Recalled:
    return Recalled(memorable(statements, None), at=NOW - HOUR, same_start=True)


def later(entry: Statement, *, calls: int, mean: float, **more: int) -> Statement:
    """The statement after so many more calls of this mean, in ms."""
    grown = {name: getattr(entry, name) + amount for name, amount in more.items()}
    return replace(entry, calls=entry.calls + calls, ms=entry.ms + calls * mean, **grown)


def test_the_first_run_says_that_it_is_the_first() -> None:
    for check in TOPIC.questions:
        (finding,), metrics = ask(TOPIC, check, parts={"statements": seen(ORDERS)})
        assert finding.status == "skipped"
        assert not metrics


def test_only_what_happened_since_the_last_run_counts() -> None:
    now = seen(later(ORDERS, calls=50, mean=20.0, read=128), replace(ITEMS))
    (finding,), metrics = ask(
        TOPIC, "postgresql.statements", parts={"statements": now}, memory=memory(seen(ORDERS, ITEMS))
    )

    assert finding.value == pytest.approx(1.0 / 3600, abs=1e-4)
    assert "1 statement, 50 calls, 1 s in 1 h" in finding.summary
    assert finding.evidence == (
        'time 100 %, 50 calls of 20 ms; shop: SELECT * FROM "Order" WHERE owner = $1 AND note <> $2',
        'most calls, 50 calls of 20 ms; shop: SELECT * FROM "Order" WHERE owner = $1 AND note <> $2',
        'read 1 MiB, 50 calls of 20 ms; shop: SELECT * FROM "Order" WHERE owner = $1 AND note <> $2',
    )
    assert metrics["postgresql.statement_mean", "localhost:5432/shop -4205617433226713411"] == pytest.approx(20)


@pytest.mark.parametrize(
    ("plan_ms", "words"), [(0, "50 calls of 20 ms;"), (2000, "50 calls of 20 ms and 40 ms of planning;")]
)
def test_planning_that_costs_as_much_as_the_work_is_told(plan_ms: int, words: str) -> None:
    now = seen(later(ORDERS, calls=50, mean=20.0, plan_ms=plan_ms))
    (finding,), _metrics = ask(TOPIC, "postgresql.statements", parts={"statements": now}, memory=memory(seen(ORDERS)))

    assert words in finding.evidence[0]


def test_literals_are_not_shown() -> None:
    now = seen(later(ITEMS, calls=50, mean=20.0))
    (finding,), _metrics = ask(TOPIC, "postgresql.statements", parts={"statements": now}, memory=memory(seen(ITEMS)))

    assert "UPDATE item SET name = ?" in finding.evidence[0]
    assert "secret" not in str(finding)


@pytest.mark.parametrize(
    ("mean", "calls", "status", "value"),
    [(20.0, 3, "ok", 0.02), (1500.0, 3, "info", 1.5), (11_000.0, 3, "warning", 11), (11_000.0, 2, "ok", None)],
)
def test_the_slowest_statement(mean: float, calls: int, status: str, value: float | None) -> None:
    now = seen(later(ORDERS, calls=calls, mean=mean))
    (finding,), _metrics = ask(
        TOPIC, "postgresql.slow_statement", parts={"statements": now}, memory=memory(seen(ORDERS))
    )

    assert (finding.status, finding.value) == (status, value)


def test_a_statement_that_may_take_long_is_left_out() -> None:
    now = seen(later(ORDERS, calls=5, mean=60_000.0), later(ITEMS, calls=5, mean=2.0))
    (finding,), _metrics = ask(
        TOPIC,
        "postgresql.slow_statement",
        parts={"statements": now},
        memory=memory(seen(ORDERS, ITEMS)),
        settings=Settings(queries_exclude=('FROM "Order"',)),
    )

    assert (finding.status, finding.value) == ("ok", 0.002)


def test_a_statement_that_became_slower() -> None:
    # Usually 4 ms in its life, 6 ms in the hour before, so 5 ms; now 12 ms.
    before = later(ORDERS, calls=1000, mean=6.0)
    past = memory(seen(before), past=memory(seen(ORDERS), server=EARLIEST))
    now = seen(later(before, calls=1000, mean=12.0))
    (finding,), _metrics = ask(TOPIC, "postgresql.statement_regression", parts={"statements": now}, memory=past)

    assert (finding.status, finding.value) == ("warning", 140)
    assert finding.evidence[0].startswith("140 % longer: 1000 calls of 12 ms, usually 5 ms; shop: SELECT")


@pytest.mark.parametrize(
    ("calls", "mean", "status"),
    [
        # Twice as long, and 20 s more in all.
        (5000, 8.0, "warning"),
        # Ten times as long, and not worth a word: less than a thousandth of the hour.
        (20, 40.0, "ok"),
        # Too few calls to compare.
        (19, 4000.0, "skipped"),
        (5000, 3.0, "ok"),
    ],
)
def test_a_regression_has_to_matter(calls: int, mean: float, status: str) -> None:
    now = seen(later(ORDERS, calls=calls, mean=mean))
    (finding,), _metrics = ask(
        TOPIC, "postgresql.statement_regression", parts={"statements": now}, memory=memory(seen(ORDERS))
    )

    assert finding.status == status


def test_the_usual_mean_forgets() -> None:
    entry, past = ORDERS, memory(seen(ORDERS), server=EARLIEST)
    for _window in range(6):
        entry = later(entry, calls=100, mean=50.0)
        past = memory(seen(entry), past=past)

    assert past["statements"]["data"]["entries"][entry.key][-1] == [50.0] * 4


def test_a_new_statement_among_the_most_expensive() -> None:
    new = replace(ITEMS, calls=10, ms=30_000.0, since=NOW - HOUR / 2)
    now = seen(later(ORDERS, calls=1000, mean=10.0), new)
    (finding,), _metrics = ask(
        TOPIC, "postgresql.new_statements", parts={"statements": now}, memory=memory(seen(ORDERS))
    )

    assert (finding.status, finding.value) == ("warning", 75)
    assert finding.evidence[0].startswith("75 %, 10 calls of 3 s; shop: UPDATE item")


@given(ms=st.floats(0.001, 10**9), calls=st.integers(1, 10**9))
def test_a_statement_that_did_not_run_is_left_out(ms: float, calls: int) -> None:
    entry = replace(ORDERS, ms=ms, calls=calls)

    assert not windows(seen(entry), recalled(seen(entry)))


def test_what_may_have_been_there_before_is_not_called_new() -> None:
    # The last run remembered the most expensive alone, and the server does not say since when it counts this one.
    old = replace(ITEMS, since=None, ms=10_000.0, calls=100)
    now = seen(later(ORDERS, calls=10, mean=4.0), old)
    (window, _orders) = windows(now, recalled(seen(ORDERS, complete=False)))

    assert not window.new
    assert window.ms == 6000.0
    assert window.calls == 60


@pytest.mark.parametrize("ms", [50.0, 50_000.0])
def test_what_was_evicted_and_came_back_counts_from_there(ms: float) -> None:
    back = replace(ORDERS, calls=5, ms=ms)
    (window,) = windows(seen(back), recalled(seen(ORDERS)))

    assert (window.calls, window.ms, window.new) == (5, ms, False)


@pytest.mark.parametrize("complete", [True, False])
def test_after_a_reset_all_that_is_counted_came_since(complete: bool) -> None:
    grown = replace(ORDERS, calls=2000, ms=9000.0)
    other = replace(ITEMS, since=NOW)
    window, unknown = windows(seen(grown, other, reset=NOW), recalled(seen(ORDERS, complete=complete)))

    assert (window.calls, window.ms, window.new) == (2000, 9000.0, False)
    # All are counted since the reset: whether it is new shows only where all were known before.
    assert (unknown.calls, unknown.ms, unknown.new) == (ITEMS.calls, ITEMS.ms, complete)


def test_a_window_of_a_few_calls_is_not_usual() -> None:
    past = memory(seen(later(ORDERS, calls=5, mean=900.0)), past=memory(seen(ORDERS), server=EARLIEST))

    assert past["statements"]["data"]["entries"][ORDERS.key][-1] == [4.0]


def test_a_quiet_server_has_no_new_statements_worth_a_word() -> None:
    now = seen(ORDERS, replace(ITEMS, calls=3, ms=90.0, since=NOW))
    (finding,), metrics = ask(
        TOPIC, "postgresql.new_statements", parts={"statements": now}, memory=memory(seen(ORDERS))
    )

    assert finding.status == "ok"
    assert "too little to matter" in finding.summary
    assert not metrics


def test_the_end_of_the_list_is_not_worth_a_word() -> None:
    new = [replace(ITEMS, queryid=at, calls=1, ms=ms, since=NOW) for at, ms in ((1, 60_000.0), (2, 500.0))]
    parts = {"statements": seen(ORDERS, *new)}
    (finding,), _metrics = ask(TOPIC, "postgresql.new_statements", parts=parts, memory=memory(seen(ORDERS)))
    _findings, metrics = ask(TOPIC, "postgresql.statements", parts=parts, memory=memory(seen(ORDERS)))

    assert len(finding.evidence) == 1
    assert {item for name, item in metrics if name == "postgresql.statement_mean"} == {"localhost:5432/shop 1"}


@pytest.mark.parametrize(
    ("before", "after", "status", "value"),
    [(0, 0, "ok", 0), (5, 6, "info", 1), (5, 35, "warning", 30), (9, 2, "info", 2)],
)
def test_evictions(before: int, after: int, status: str, value: int) -> None:
    (finding,), _metrics = ask(
        TOPIC,
        "postgresql.statement_evictions",
        parts={"statements": seen(ORDERS, evictions=after)},
        memory=memory(seen(ORDERS, evictions=before)),
    )

    assert (finding.status, finding.value) == (status, value)


def test_an_extension_that_does_not_tell_evictions_is_to_be_updated() -> None:
    parts = {"statements": replace(seen(ORDERS), evictions=None)}
    (finding,), _metrics = ask(TOPIC, "postgresql.statement_evictions", parts=parts)

    assert finding.status == "skipped"
    assert finding.remedy == "ALTER EXTENSION pg_stat_statements UPDATE"


def test_what_is_remembered_is_bounded() -> None:
    many = seen(*(replace(ORDERS, queryid=at, ms=float(at)) for at in range(MOST)), complete=False)

    assert len(json.dumps(memory(many))) < 300_000


ENTRIES = st.lists(
    st.builds(
        lambda queryid, calls, mean: replace(ORDERS, queryid=queryid, calls=calls, ms=calls * mean, since=None),
        st.integers(1, 12), st.integers(1, 10**6), st.floats(0.001, 10**5),
    ),
    unique_by=lambda entry: entry.queryid, max_size=12,
)  # fmt: skip


@given(before=ENTRIES, after=ENTRIES, kept=st.integers(0, 12))
def test_no_window_holds_more_than_the_server_counted(
    before: list[Statement], after: list[Statement], kept: int
) -> None:
    past = seen(*before)
    past = replace(past, entries=past.entries[:kept], complete=kept >= len(past.entries))
    found = windows(seen(*after), recalled(past))

    counted = {entry.key: entry for entry in after}
    for window in found:
        entry = counted[window.statement.key]
        assert 0 < window.calls <= entry.calls
        assert 0 <= window.ms <= entry.ms
        assert not (window.new and entry.key in {one.key for one in past.entries})
    assert [window.ms for window in found] == sorted((window.ms for window in found), reverse=True)
