# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution of a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
    execute,
)

START = datetime(2026, 3, 29, 2, tzinfo=timezone.utc)


class Ticking(Clock):
    """Each step takes a minute."""

    def __init__(self):
        self.minutes = 0

    def now(self):
        return START + timedelta(minutes=self.minutes)

    def monotonic(self):
        return 60.0 * self.minutes


def step(target):
    return Step(action="vacuum", target=target, reason="20 % dead", reversible=False, estimate={"bytes": 5})


def run(targets, act, *, minutes=None):
    clock = Ticking()

    def doing(done):
        clock.minutes += 1
        return act(done)

    deadline = Deadline(clock, START + timedelta(minutes=minutes) if minutes is not None else None)
    return execute([step(target) for target in targets], doing, deadline=deadline)


def fine(done):
    return Effect({"size": 2}, {"size": 1})


def test_every_step_is_carried_out_in_order_and_timed():
    outcome = run(["a", "b"], fine)
    assert outcome.applied == [
        {"action": "vacuum", "target": name, "before": {"size": 2}, "after": {"size": 1}, "seconds": 60.0}
        for name in ("a", "b")
    ]
    assert (outcome.failed, outcome.left) == ([], [])


def test_a_step_that_fails_does_not_stop_the_next():
    def act(done):
        if done.target == "a":
            raise MaintenanceError("The lock is taken.", remedy="Try later.")
        return fine(done)

    outcome = run(["a", "b"], act)
    assert outcome.failed == [
        {"action": "vacuum", "target": "a", "error": "The lock is taken. Try later.", "done": False}
    ]
    assert outcome.changed
    assert [done["target"] for done in outcome.applied] == ["b"]


@pytest.mark.parametrize(("error", "done"), [(MaintenanceError, False), (Unachieved, True)])
def test_a_step_that_was_carried_out_in_vain_has_changed_the_host(error, done):
    def act(_step):
        raise error("No.")

    outcome = run(["a"], act)
    assert (outcome.applied, outcome.failed[0]["done"], outcome.changed) == ([], done, done)


def test_a_fault_of_ours_hides_nothing_that_was_done_and_stops_the_rest():
    def act(done):
        return {}["gone"] if done.target == "b" else fine(done)

    outcome = run(["a", "b", "c"], act)
    assert [done["target"] for done in outcome.applied] == ["a"]
    assert outcome.failed[0]["error"] == "a fault of the module (KeyError): 'gone'"
    assert outcome.left == [
        {"target": "c", "reason": "vacuum was planned, but a fault of the module (KeyError) stopped the run"}
    ]


def test_a_step_that_is_no_longer_needed_is_left_and_neither_done_nor_failed():
    def act(done):
        if done.target == "a":
            raise NotNeeded("it is clean by now")
        return fine(done)

    outcome = run(["a", "b"], act)
    assert [entry["target"] for entry in outcome.applied] == ["b"]
    assert outcome.failed == []
    assert outcome.left == [{"target": "a", "reason": "vacuum was planned, but it is clean by now"}]


def test_steps_behind_the_deadline_are_left_with_the_reason():
    outcome = run(["a", "b", "c"], fine, minutes=2)
    assert [done["target"] for done in outcome.applied] == ["a", "b"]
    assert outcome.left == [{"target": "c", "reason": "vacuum was planned, but the window had closed"}]


def test_a_step_that_may_outlast_the_deadline_is_not_begun_and_a_shorter_one_is():
    clock = Ticking()
    plan = [replace(step(target), longest=longest) for target, longest in (("a", 120.0), ("b", 121.0), ("c", 30.0))]
    outcome = execute(plan, fine, deadline=Deadline(clock, START + timedelta(minutes=2)))
    assert [done["target"] for done in outcome.applied] == ["a", "c"]
    assert outcome.left == [
        {"target": "b", "reason": "vacuum was planned, but it may take 2 min 1 s, and 2 min is left until the deadline"}
    ]


def test_a_step_shows_hostile_names_cleaned():
    assert step("\x1b[31mt\n").as_dict()["target"] == "t"
