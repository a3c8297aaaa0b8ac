# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a sequence can still give, and when it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.sequences import (
    TOPIC,
    Counter,
    pace,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

BIG = 2**63 - 1
ORDERS = Counter(
    schema="public",
    name="Order_id_seq",
    start=1,
    step=1,
    least=1,
    most=BIG,
    cycles=False,
    readable=True,
    locked=False,
    last=2_000_000_000,
    fills="public.Order.id",
    type="integer",
    bits=32,
)
SMALL = replace(ORDERS, name="small", last=10, bits=None, fills=None, type=None)


@pytest.mark.parametrize(
    ("counter", "left", "used"),
    [
        (ORDERS, 147_483_647, 93.13),
        (replace(ORDERS, bits=64), BIG - 2_000_000_000, 0.0),
        (replace(ORDERS, bits=16, last=32767), 0, 100.0),
        (replace(ORDERS, bits=16, last=40000), 0, 100.0),
        (replace(ORDERS, last=None), 2**31 - 1, 0.0),
        (replace(ORDERS, step=10, most=100, bits=None, last=51), 4, 60.0),
        (replace(ORDERS, step=-1, least=-BIG, most=-1, start=-1, last=-(2**31)), 0, 100.0),
        (replace(ORDERS, step=-3, least=-10, most=0, start=0, last=0, bits=None), 3, 25.0),
        (replace(ORDERS, least=5_000_000_000, start=5_000_000_000, last=None), 0, 100.0),
        (replace(ORDERS, start=1000, last=None, most=1000, bits=None), 1, 99.9),
    ],
)
def test_what_is_left_ends_with_the_sequence_or_with_its_column(counter: Counter, left: int, used: float) -> None:
    assert counter.left == left
    assert counter.used == pytest.approx(used, abs=0.01)


@given(
    step=st.integers(-50, 50).filter(bool),
    least=st.integers(-2000, 2000),
    width=st.integers(0, 3000),
    bits=st.sampled_from([None, 16]),
    taken=st.integers(0, 4000),
)
def test_what_is_left_is_what_counting_finds(step: int, least: int, width: int, bits: int | None, taken: int) -> None:
    most = least + width
    start = least if step > 0 else most
    numbers = list(range(start, (most + 1) if step > 0 else (least - 1), step))
    taken = min(taken, len(numbers))
    counter = replace(
        ORDERS, start=start, step=step, least=least, most=most, bits=bits, last=numbers[taken - 1] if taken else None
    )

    assert counter.left == len(numbers) - taken
    assert counter.used == pytest.approx(100 * taken / len(numbers))


def test_one_that_begins_again_does_not_end_unless_its_column_does_first() -> None:
    assert not replace(ORDERS, cycles=True, bits=None).ends
    assert not replace(ORDERS, cycles=True, bits=64).ends
    assert replace(ORDERS, cycles=True).ends


def test_a_database_has_one_finding_and_one_for_each_that_runs_out() -> None:
    many = tuple(replace(SMALL, name=f"s{at}", last=at) for at in range(1, 300))
    findings, metrics = ask(TOPIC, "postgresql.sequences", databases={"shop": {"sequences": (*many, ORDERS)}})

    told, rest = findings
    assert (told.item, told.status) == ("localhost:5432/shop public.Order_id_seq", "critical")
    assert "public.Order_id_seq for public.Order.id (integer): 93.1 % used, 147,483,647 left" in told.summary
    assert (rest.item, rest.status) == ("localhost:5432/shop", "ok")
    assert len(rest.evidence) == 10
    assert "300 sequences" in rest.summary
    assert len(metrics) <= 11


def test_what_may_not_be_read_is_skipped_with_the_grant_and_hides_nothing_else() -> None:
    hidden = replace(ORDERS, schema='my "own"', last=None, readable=False)
    findings, _metrics = ask(TOPIC, "postgresql.sequences", databases={"shop": {"sequences": (hidden, SMALL)}})

    assert [(finding.item, finding.status) for finding in findings] == [
        ("localhost:5432/shop", "ok"),
        ('localhost:5432/shop my "own".*', "skipped"),
    ]
    assert findings[1].remedy == 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "my ""own""" TO "watcher"'


def test_where_none_may_be_read_nothing_is_ok() -> None:
    hidden = replace(ORDERS, last=None, readable=False)
    for check in ("postgresql.sequences", "postgresql.sequence_days"):
        memory = remembered(replace(SERVER, now=NOW - timedelta(days=1)), sequences={"shop": {}})
        findings, metrics = ask(TOPIC, check, databases={"shop": {"sequences": (hidden,)}}, memory=memory)

        assert [finding.status for finding in findings] == ["skipped"]
        assert metrics == {}


def test_no_sequences_is_ok_and_one_that_is_being_altered_is_left_out() -> None:
    for counters in ((), (replace(ORDERS, locked=True, last=None),)):
        findings, _metrics = ask(TOPIC, "postgresql.sequences", databases={"shop": {"sequences": counters}})
        assert [(finding.status, finding.summary) for finding in findings] == [("ok", "no sequences")]


def test_the_date_of_the_end_comes_from_the_pace_since_the_last_run() -> None:
    memory = remembered(
        replace(SERVER, now=NOW - timedelta(days=10)), sequences={"shop": {ORDERS.label: 2_000_000_000 - 70_000_000}}
    )
    databases = {"shop": {"sequences": (ORDERS, SMALL)}}
    findings, metrics = ask(TOPIC, "postgresql.sequence_days", databases=databases, memory=memory)

    (finding,) = findings
    assert (finding.item, finding.status) == ("localhost:5432/shop public.Order_id_seq", "critical")
    assert metrics["postgresql.sequence_days", "localhost:5432/shop"] == pytest.approx(21.07, abs=0.01)
    assert "70,000,000 taken in 10 d, used up about 2026-03-22" in finding.summary
    shares, _metrics = ask(TOPIC, "postgresql.sequences", databases=databases, memory=memory)
    assert "used up about 2026-03-22" in shares[0].summary


@pytest.mark.parametrize("last", [2_000_000_000, 2_100_000_000, "garbage", None])
def test_one_that_stands_still_or_was_set_back_has_no_end(last: object) -> None:
    memory = remembered(replace(SERVER, now=NOW - timedelta(days=10)), sequences={"shop": {ORDERS.label: last}})
    findings, _metrics = ask(
        TOPIC, "postgresql.sequence_days", databases={"shop": {"sequences": (ORDERS,)}}, memory=memory
    )

    assert [finding.status for finding in findings] == ["ok"]


def test_a_first_or_too_early_second_run_says_so() -> None:
    databases = {"shop": {"sequences": (ORDERS,)}}
    first, _metrics = ask(TOPIC, "postgresql.sequence_days", databases=databases)
    memory = remembered(replace(SERVER, now=NOW - timedelta(minutes=5)), sequences={"shop": {}})
    second, _metrics = ask(TOPIC, "postgresql.sequence_days", databases=databases, memory=memory)

    assert [first[0].status, second[0].status] == ["skipped", "skipped"]
    assert "first to look" in first[0].summary
    assert "5 min ago" in second[0].summary


def test_the_pace_of_a_falling_sequence_is_a_pace() -> None:
    falling = replace(ORDERS, step=-1, least=-BIG, most=-1, start=-1, last=-1_000_000)
    found = pace(falling, -900_000, seconds=86400)

    assert found is not None
    assert found.days == pytest.approx((2**31 - 1_000_000) / 100_000, rel=1e-6)


def test_what_is_remembered_is_bounded_and_the_fullest() -> None:
    many = tuple(replace(SMALL, name=f"s{at}", last=at) for at in range(1, 1000))
    snapshot = Snapshot(server=SERVER, now=NOW, databases={"shop": {"sequences": (*many, ORDERS)}, "other": {}})

    kept = remember(snapshot)["sequences"]
    assert list(kept) == ["shop"]
    assert len(kept["shop"]) == 200
    assert kept["shop"][ORDERS.label] == 2_000_000_000
    assert "public.s1" not in kept["shop"]
    assert remember(Snapshot(server=SERVER, now=NOW)) == {}
