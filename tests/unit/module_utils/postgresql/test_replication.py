# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standbys, and how many primaries there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.io import DatabaseCounters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.replication import (
    TOPIC,
    Member,
    Recovery,
    Standby,
    Standbys,
    synchronous_wanted,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

MIB = 1024**2
STANDBY = replace(SERVER, in_recovery=True)
#: A row of pg_stat_replication of PostgreSQL 17, caught up.
FOLLOWER = Standby(
    pid=4711,
    application="18/main",
    address="10.0.0.2",
    state="streaming",
    sync="async",
    seconds=None,
    unsent=0.0,
    bytes=0.0,
)
RECOVERY = Recovery(receiver="streaming", paused=False, bytes=0.0, age=90_000.0, streams=True)


def connected(*standbys: Standby, names: str = "") -> dict[str, Standbys]:
    return {"standbys": Standbys(standbys, names)}


@pytest.mark.parametrize(
    ("standby", "status", "value"),
    [
        (FOLLOWER, "ok", 0),
        # Nothing is written, and the lag is the one of the last write.
        (replace(FOLLOWER, seconds=100.0), "ok", 0),
        # The first write after a pause, before the standby has answered.
        (replace(FOLLOWER, bytes=100.0), "ok", 0),
        (replace(FOLLOWER, bytes=100.0, seconds=61.0), "warning", 61),
        (replace(FOLLOWER, bytes=100.0, seconds=601.0), "critical", 601),
        (replace(FOLLOWER, bytes=100.0 * MIB), "unknown", None),
        (replace(FOLLOWER, bytes=None), "unknown", None),
    ],
)
def test_how_long_a_standby_is_behind(standby: Standby, status: str, value: float | None) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.replication_lag", parts=connected(standby))

    assert (finding.status, finding.value) == (status, value)
    assert finding.item == "localhost:5432 18/main@10.0.0.2"


def test_how_much_a_standby_is_behind_and_where_it_lies() -> None:
    slow = replace(FOLLOWER, bytes=2048.0 * MIB, unsent=2000.0 * MIB)
    (finding,), _metrics = ask(TOPIC, "postgresql.replication_lag_bytes", parts=connected(slow, names=""))

    assert (finding.status, finding.value) == ("warning", 2048 * MIB)
    assert "2 GiB not sent yet" in finding.evidence[0]


def test_two_standbys_of_one_name_and_address_are_one_item_and_the_worst_counts() -> None:
    parts = connected(FOLLOWER, replace(FOLLOWER, pid=4712, bytes=20.0))
    (finding,), metrics = ask(TOPIC, "postgresql.replication_lag_bytes", parts=parts)

    assert finding.value == 20
    assert len(metrics) == 1


def test_a_base_backup_follows_nothing() -> None:
    (finding,), _metrics = ask(
        TOPIC, "postgresql.replication_lag", parts=connected(replace(FOLLOWER, state="backup", bytes=None))
    )

    assert finding.status == "skipped"
    assert "no standby is connected" in finding.summary


@pytest.mark.parametrize(
    ("recovery", "status", "value"),
    [
        # A quiet primary: the last commit is a day old, and the standby has it.
        (RECOVERY, "ok", 0),
        (replace(RECOVERY, bytes=500.0), "critical", 90_000),
        (replace(RECOVERY, receiver=None), "critical", 90_000),
        (replace(RECOVERY, receiver=None, age=None), "unknown", None),
    ],
)
def test_how_long_a_standby_says_that_it_is_behind(recovery: Recovery, status: str, value: float | None) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.replication_lag", parts={"recovery": recovery}, server=STANDBY)

    assert (finding.status, finding.value) == (status, value)


@pytest.mark.parametrize(
    ("recovery", "status", "words"),
    [
        (RECOVERY, "ok", "receives and replays"),
        (replace(RECOVERY, paused=True), "warning", "replay is paused"),
        (replace(RECOVERY, receiver=None), "critical", "not running; the last commit replayed is 1 d 1 h old"),
        (replace(RECOVERY, receiver="waiting"), "critical", "in state waiting"),
        (replace(RECOVERY, receiver=None, streams=False), "ok", "replays an archive"),
        (replace(RECOVERY, receiver=None, streams=False, paused=True), "warning", "replay is paused"),
        (replace(RECOVERY, receiver=None, streams=None), "critical", "not running"),
    ],
)
def test_a_standby_receives_and_replays(recovery: Recovery, status: str, words: str) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.standby", parts={"recovery": recovery}, server=STANDBY)

    assert finding.status == status
    assert words in finding.summary


@pytest.mark.parametrize(("more", "status"), [(0, "ok"), (1, "info"), (100, "warning")])
def test_queries_that_replay_has_ended(more: int, status: str) -> None:
    parts = {
        "database_counters": DatabaseCounters(
            {"shop": Counters({"conflicts": 5 + more}), "idle": Counters({"conflicts": 3})}, timed=False
        )
    }
    past = remembered(
        replace(STANDBY, now=NOW - timedelta(hours=1)),
        database_counters={"shop": Counters({"conflicts": 5}).plain(), "idle": Counters({"conflicts": 3}).plain()},
    )
    (finding,), _metrics = ask(TOPIC, "postgresql.recovery_conflicts", parts=parts, server=STANDBY, memory=past)
    (primary,), _metrics = ask(TOPIC, "postgresql.recovery_conflicts", parts=parts, memory=past)

    assert (finding.status, finding.value) == (status, more)
    assert finding.evidence == ((f"shop: {more}",) if more else ())
    assert primary.status == "skipped"


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("", 0),
        ("  ", 0),
        ("*", 1),
        ("a, b", 1),
        ("FIRST 2 (a, b, c)", 2),
        ("any 3 (a, b, c)", 3),
        ("2(a, b)", 2),
        ('"first 2 (x"', 1),
        ("first, any", 1),
    ],
)
def test_how_many_synchronous_standbys_are_wanted(names: str, wanted: int) -> None:
    assert synchronous_wanted(names) == wanted


def test_too_few_synchronous_standbys_stop_every_commit() -> None:
    sync = replace(FOLLOWER, sync="sync")
    (enough,), _metrics = ask(TOPIC, "postgresql.synchronous", parts=connected(sync, names="*"))
    (short,), _metrics = ask(TOPIC, "postgresql.synchronous", parts=connected(sync, FOLLOWER, names="FIRST 2 (*)"))
    (none,), _metrics = ask(TOPIC, "postgresql.synchronous", parts=connected(FOLLOWER))

    assert [enough.status, short.status, none.status] == ["ok", "critical", "skipped"]
    assert short.summary == "1 standby can confirm commits, 2 wanted"


HERE = Member("localhost:5432", in_recovery=False, identity="7")
THERE = Member("db2:5432", in_recovery=True, identity="7")


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ((HERE, THERE), "ok", "localhost:5432 is the one primary of 2 servers"),
        ((replace(HERE, in_recovery=True), replace(THERE, in_recovery=False)), "ok", "db2:5432 is the one primary"),
        ((HERE, replace(THERE, in_recovery=False)), "critical", "2 primaries: localhost:5432, db2:5432"),
        ((replace(HERE, in_recovery=True), THERE), "critical", "none of 2 servers is a primary"),
        ((HERE, replace(THERE, identity="8")), "critical", "db2:5432 is of another cluster"),
        ((HERE, Member("db2:5432", trouble="no route to host")), "unknown", "1 server of 2 could not be asked"),
        (
            (HERE, replace(THERE, in_recovery=False), Member("db3:5432", trouble="no route to host")),
            "critical",
            "2 primaries",
        ),
    ],
)
def test_there_is_exactly_one_primary(members: tuple[Member, ...], status: str, words: str) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.one_primary", parts={"members": members})

    assert finding.status == status
    assert words in finding.summary
    assert len(finding.evidence) == len(members)


def test_a_standby_has_the_primary_s_settings_and_no_commits_that_wait() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.synchronous", parts=connected(names="FIRST 2 (a, b)"), server=STANDBY)

    assert finding.status == "skipped"
