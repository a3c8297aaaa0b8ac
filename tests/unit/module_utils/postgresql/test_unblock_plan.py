# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of those that keep others waiting may be ended, and how; whatever there is on the server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_ground import (
    AUTOVACUUM,
    CLIENT,
    MEANT,
    Process,
    survey,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_plan import (
    CANCEL,
    CANCEL_OR_TERMINATE,
    IDLE,
    TERMINATE,
    Decision,
    Situation,
    Wanted,
    decide,
    read_wanted,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import SERVER

ROOT = replace(SERVER, superuser=True, user="postgres")
DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS.items()}
SAFE = tuple(DEFAULTS["applications_exclude"])
HOLDER = Process(
    pid=1,
    database="shop",
    user_name="eve",
    application="billing",
    state="active",
    started=10**15,
    began=10**15,
    age=900.0,
)
WAITER = replace(HOLDER, pid=2, waits_for="relation", waited=600.0, blocked_by=(1,))
STATES = ("active", "idle", *IDLE, "fastpath function call", "disabled", "")

PROCESSES = st.lists(
    st.builds(
        Process,
        pid=st.integers(1, 7),
        database=st.sampled_from(["shop", "stock"]),
        user_name=st.sampled_from(["eve", "payment", "\x1b[31mroot"]),
        application=st.sampled_from(["billing", "pg_dump", "pg_dumpall", "fleetcare.maintenance", "x" * 200]),
        kind=st.sampled_from(
            [CLIENT, CLIENT, CLIENT, AUTOVACUUM, "walsender", "logical replication worker", "startup"]
        ),
        state=st.sampled_from(STATES),
        started=st.integers(0, 2 * 10**15),
        began=st.one_of(st.none(), st.integers(0, 2 * 10**15)),
        age=st.one_of(st.none(), st.floats(-1, 2000)),
        leader=st.one_of(st.none(), st.none(), st.integers(1, 7)),
        own=st.booleans(),
        superuser=st.booleans(),
        allowed=st.booleans(),
        ordinary=st.booleans(),
        waits_for=st.sampled_from(["relation", "transactionid", *MEANT]),
        waited=st.floats(0, 1000),
        blocked_by=st.one_of(st.just(()), st.lists(st.integers(0, 8), max_size=3).map(tuple)),
    ),
    max_size=7,
    unique_by=lambda process: process.pid,
)
WISHES = st.builds(
    Wanted,
    waiting_for=st.sampled_from([1.0, 300.0]),
    waiters=st.integers(1, 3),
    terminate=st.booleans(),
    max_sessions=st.integers(1, 3),
    max_sessions_per_day=st.integers(1, 4),
    applications_exclude=st.just(SAFE),
    users_exclude=st.sampled_from([(), ("pay*",)]),
    databases_exclude=st.sampled_from([(), ("stock",)]),
)
SITUATIONS = st.builds(
    Situation,
    wanted=WISHES,
    server=st.sampled_from([SERVER, ROOT]),
    spent=st.integers(0, 4),
    uncounted=st.sampled_from(["", "", "the ledger cannot be read"]),
)


def one(
    holder: Process, *waiters: Process, server: Any = ROOT, prepared: tuple[str, ...] = (), **wishes: Any
) -> Decision:
    """The decision about the one root there is."""
    ground = survey([holder, *(waiters or (WAITER,))], wanted={}, prepared=prepared)
    (decision,) = decide(ground, Situation(Wanted(**{"applications_exclude": SAFE, **wishes}), server))
    return decision


@given(PROCESSES, SITUATIONS)
def test_nobody_is_ever_ended_who_must_not_be(processes: list[Process], situation: Situation) -> None:
    wanted = situation.wanted
    decisions = decide(survey(processes, wanted={}), situation)

    for decision in decisions:
        assert (decision.step is None) != (decision.refusal is None)
        if decision.step is None:
            continue
        process = decision.blocker.process
        assert process is not None
        assert process.kind == CLIENT or (process.kind == AUTOVACUUM and process.ordinary)
        assert not process.own
        assert not process.blocked_by
        assert process.kind == AUTOVACUUM or not process.superuser
        assert not re.match("pg_dump|fleetcare", process.application)
        assert not any(process.user_name.startswith("pay") for _glob in wanted.users_exclude)
        assert process.database not in wanted.databases_exclude
        assert process.began is not None
        assert situation.server.superuser or (process.allowed and process.kind == CLIENT)
        assert not situation.uncounted
        assert decision.blocker.longest >= wanted.waiting_for
        assert len(decision.blocker.waiters) >= wanted.waiters
        if decision.step.action != CANCEL:
            assert wanted.terminate
            assert process.kind == CLIENT
        if process.state in IDLE:
            assert decision.step.action == TERMINATE
        assert decision.step.reversible is False
    steps = [decision.step for decision in decisions if decision.step]
    assert len(steps) <= wanted.max_sessions
    assert len(steps) <= max(0, wanted.max_sessions_per_day - situation.spent)
    assert len({step.target for step in steps}) == len(steps)


@given(PROCESSES, SITUATIONS)
def test_everybody_at_a_root_is_told_and_told_printably(processes: list[Process], situation: Situation) -> None:
    decisions = decide(survey(processes, wanted={}, prepared=("order 7 of eve@shop",)), situation)
    waiting = {process.leader or process.pid for process in processes if process.blocked_by}
    blocking = {pid for process in processes for pid in process.blocked_by}
    told = [decision.blocker.pid for decision in decisions]

    assert sorted(told) == sorted(set(told))
    assert blocking - waiting <= set(told)
    for decision in decisions:
        words = f"{decision.blocker.words} {decision.said} {decision.refusal.reason if decision.refusal else ''}"
        assert words.isprintable()


@given(PROCESSES, SITUATIONS)
def test_more_patience_never_ends_more(processes: list[Process], situation: Situation) -> None:
    """A longer wait that is asked for takes away from what needs something, and adds nothing."""
    ground = survey(processes, wanted={})
    patient = replace(situation, wanted=replace(situation.wanted, waiting_for=2000.0))
    needed, fewer = (
        {one.blocker.pid for one in decide(ground, each) if one.step or (one.refusal and one.refusal.needed)}
        for each in (situation, patient)
    )
    assert fewer <= needed


@pytest.mark.parametrize(
    ("state", "terminate", "action"),
    [
        ("active", False, CANCEL),
        ("active", True, CANCEL_OR_TERMINATE),
        ("fastpath function call", False, CANCEL),
        ("idle in transaction", True, TERMINATE),
        ("idle in transaction (aborted)", True, TERMINATE),
    ],
)
def test_what_is_done_goes_by_what_it_does(state: str, terminate: bool, action: str) -> None:
    step = one(replace(HOLDER, state=state), terminate=terminate).step
    assert step is not None
    assert step.action == action
    assert step.longest == (20.0 if action == CANCEL_OR_TERMINATE else 10.0)
    assert (step.estimate["pid"], step.estimate["backend_start"]) == (1, "2001-09-09T01:46:40.000Z")
    assert step.target == "pid 1 eve@shop (billing) since 2001-09-09T01:46:40.000Z"
    assert step.estimate["undo"].startswith("none")


@pytest.mark.parametrize(
    ("change", "said", "needed"),
    [
        ({"state": "idle in transaction"}, "there is no statement to cancel", True),
        ({"superuser": True}, "superuser", True),
        ({"own": True}, "this very module", True),
        ({"kind": "walsender"}, "replication (walsender)", True),
        ({"kind": "logical replication apply worker"}, "replication (logical replication apply worker)", True),
        ({"kind": "background writer"}, "the server itself (background writer)", True),
        ({"kind": AUTOVACUUM, "superuser": True}, "to prevent wraparound, or cannot be told", True),
        ({"application": "pg_dump"}, "applications_exclude", True),
        ({"state": "disabled", "began": None, "age": None}, "not seen to have a transaction (disabled)", True),
        ({"state": "idle", "began": None, "age": None}, "not seen to have a transaction (idle)", True),
        ({"age": 3.0}, "keeps nobody waiting for 5 min yet", False),
    ],
)
def test_why_one_is_left_alone(change: dict[str, Any], said: str, needed: bool) -> None:
    refusal = one(replace(HOLDER, **change)).refusal
    assert refusal is not None
    assert said in refusal.reason
    assert refusal.needed is needed


@pytest.mark.parametrize("kind", MEANT)
def test_a_wait_on_purpose_counts_for_nobody_but_who_waits_behind_it_does(kind: str) -> None:
    meant = replace(WAITER, waits_for=kind)
    refusal = one(HOLDER, meant).refusal
    behind = one(HOLDER, meant, replace(WAITER, pid=3, blocked_by=(2,)))

    assert refusal is not None
    assert not refusal.needed
    assert "waits" in refusal.reason
    assert behind.step is not None
    assert behind.step.estimate["waiting"] == 1


def test_an_ordinary_autovacuum_is_cancelled_and_never_terminated() -> None:
    worker = replace(HOLDER, kind=AUTOVACUUM, user_name="", application="", superuser=True, ordinary=True)
    step = one(worker, terminate=True).step
    refusal = one(worker, server=replace(SERVER, roles=SERVER.roles | {"pg_signal_backend"})).refusal

    assert step is not None
    assert step.action == CANCEL
    assert step.target.startswith("pid 1 autovacuum worker in shop since")
    assert refusal is not None
    assert refusal.remedy.startswith('GRANT pg_signal_autovacuum_worker TO "watcher"')
    assert one(worker, server=replace(SERVER, roles=SERVER.roles | {"pg_signal_autovacuum_worker"})).step


def test_a_prepared_transaction_is_named() -> None:
    waiter = replace(WAITER, blocked_by=(0,))
    decision = one(HOLDER, waiter, prepared=("order 7 of eve@shop",))

    assert decision.blocker.words == "prepared transaction order 7 of eve@shop"
    assert decision.refusal is not None
    assert "ROLLBACK PREPARED" in decision.refusal.remedy


def test_a_parallel_worker_waits_for_its_leader_which_is_then_no_root() -> None:
    leader = replace(HOLDER, pid=5)
    worker = replace(
        HOLDER, pid=6, kind="parallel worker", leader=5, waits_for="relation", waited=600.0, blocked_by=(1,)
    )
    behind = replace(WAITER, pid=7, blocked_by=(5, 5))
    decision = one(HOLDER, leader, worker, behind)

    assert decision.blocker.pid == 1
    assert set(decision.blocker.waiters) == {5, 7}


def test_the_one_with_most_waiters_comes_first_and_the_others_are_told() -> None:
    other = replace(HOLDER, pid=9)
    waiters = [WAITER, replace(WAITER, pid=3, blocked_by=(9,)), replace(WAITER, pid=4, blocked_by=(9,), waited=301.0)]
    situation = Situation(Wanted(), ROOT)
    first, second = decide(survey([HOLDER, other, *waiters], wanted={}), situation)

    assert first.blocker.pid == 9
    assert first.step is not None
    assert second.refusal is not None
    assert second.refusal.reason == "max_sessions is 1, and those that keep more waiting come first"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("waiting_for", 0.5),
        ("waiting_for", 86401.0),
        ("waiting_for", float("nan")),
        ("waiters", 0),
        ("patience", 0.0),
        ("max_sessions", 0),
        ("max_sessions", 101),
        ("max_sessions_per_day", 0),
        ("applications_exclude", ["fine", "(never closed"]),
    ],
)
def test_an_option_that_makes_no_sense_is_one_sentence(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        read_wanted({**DEFAULTS, option: value})
    assert re.match(rf"Option '{option}(\[1\])?' is .*, but must be .*\.$", str(caught.value))
    assert str(caught.value).count(". ") == 0


def test_the_defaults_make_sense() -> None:
    wanted = read_wanted(DEFAULTS)
    assert (wanted.waiting_for, wanted.terminate, wanted.max_sessions) == (300.0, False, 1)
