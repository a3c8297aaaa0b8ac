# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep-sets: never below the floor, never above a budget, and everything that is due goes in the end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.keep import (
    Budget,
    Generation,
    Limits,
    decide,
    within_budget,
)

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
ALL = Budget(files=5000, bytes=0, percent=100)


def generation(number, days, *, log="/l/app.log", used=4096, stays=""):
    return Generation(f"{log}.{number}", log, number, NOW - timedelta(days=days), used, stays)


def due(generations, limits, budget=ALL):
    going, _waiting, _spent = within_budget(decide(generations, limits, now=NOW), budget)
    return [verdict.generation.number for verdict in going]


def test_what_is_older_than_its_days_goes_oldest_first():
    files = [generation(number, number * 30) for number in range(1, 7)]
    assert due(files, Limits(days=90, newest=1, least_days=7)) == [6, 5, 4]


def test_a_file_as_old_as_it_may_be_stays():
    assert due([generation(1, 0), generation(2, 90)], Limits(days=90, newest=1, least_days=7)) == []


def test_when_everything_is_too_old_the_floor_holds():
    files = [generation(number, 1000 + number) for number in range(1, 6)]
    assert due(files, Limits(days=90, newest=3, least_days=7)) == [5, 4]
    kept = [one for one in decide(files, Limits(days=90, newest=3, least_days=7), now=NOW) if not one.due]
    assert {one.reason for one in kept} == {
        f"is {days} days old and is kept for 90 days, but is one of the 3 newest of its log"
        for days in (1001, 1002, 1003)
    }


def test_number_and_size_reach_no_further_than_the_floor_of_days():
    files = [generation(number, number) for number in range(1, 21)]
    assert due(files, Limits(days=90, newest=1, least_days=7, most_files=5)) == list(range(20, 6, -1))
    assert due(files, Limits(days=90, newest=1, least_days=7, most_bytes=4096 * 15)) == [20, 19, 18, 17, 16]


def test_each_log_has_a_floor_of_its_own():
    files = [generation(1, 400, log=f"/l/{name}.log") for name in "abc"]
    assert due(files, Limits(days=90, newest=1, least_days=7)) == []


def test_what_is_held_or_open_stays_and_takes_no_place_of_the_newest():
    files = [generation(1, 400, stays="x holds it"), generation(2, 401), generation(3, 402, stays="y has it open")]
    verdicts = decide(files, Limits(days=90, newest=1, least_days=7), now=NOW)
    assert [verdict.due for verdict in verdicts] == [False, True, False]
    assert verdicts[0].reason == "is 400 days old and is kept for 90 days, but x holds it"


def test_a_file_that_is_larger_than_the_budget_does_not_stop_the_others():
    files = [generation(1, 0), generation(2, 100), generation(3, 200, used=9000), generation(4, 300)]
    verdicts = decide(files, Limits(days=90, newest=1, least_days=7), now=NOW, most=5000)
    going, waiting, _spent = within_budget(verdicts, Budget(files=10, bytes=5000, percent=100))
    assert [[verdict.generation.number for verdict in some] for some in (going, waiting)] == [[4], [2]]
    (stuck,) = [verdict for verdict in verdicts if verdict.stuck]
    assert stuck.reason == (
        "is 200 days old and is kept for 90 days, but takes 8.8 KiB, and a run removes 4.9 KiB at the most: "
        "raise budget_bytes"
    )


def test_a_share_of_few_files_is_one_at_least():
    files = [generation(number, 100 * number) for number in range(1, 4)]
    assert due(files, Limits(days=90, newest=1, least_days=7), Budget(files=9, bytes=0, percent=1)) == [3]


GENERATIONS = st.lists(
    st.builds(
        lambda log, number, days, used, stays: generation(number, days, log=log, used=used, stays=stays),
        log=st.sampled_from(["/l/a.log", "/l/b.log"]),
        number=st.integers(0, 999),
        days=st.floats(-400, 4000),
        used=st.integers(0, 2**40),
        stays=st.sampled_from(["", "", "", "a hold"]),
    ),
    max_size=40,
    unique_by=lambda one: one.path,
)
LIMITS = st.builds(
    Limits,
    days=st.floats(1, 4000),
    newest=st.integers(1, 10),
    least_days=st.floats(1, 50),
    most_files=st.integers(0, 10),
    most_bytes=st.integers(0, 2**41),
)
BUDGETS = st.builds(Budget, files=st.integers(1, 20), bytes=st.integers(0, 2**42), percent=st.floats(1, 100))


@given(GENERATIONS, LIMITS, BUDGETS)
def test_floor_and_budget_hold_whatever_the_limits(files, limits, budget):
    verdicts = decide(files, limits, now=NOW)
    going, waiting, spent = within_budget(verdicts, budget)
    gone = {verdict.generation.path for verdict in going}
    assert len(verdicts) == len(files)
    assert len(gone) == len(going) <= budget.files
    assert len(going) <= max(1, len(files) * budget.percent / 100)
    assert not budget.bytes or sum(verdict.generation.used for verdict in going) <= budget.bytes
    assert bool(waiting) == bool(spent)
    for log in {one.log for one in files}:
        newest = sorted((one for one in files if one.log == log), key=lambda one: one.moment, reverse=True)
        assert not gone & {
            one.path for one in newest if one.moment > newest[min(limits.newest, len(newest)) - 1].moment
        }
        assert len([one for one in newest if one.path not in gone]) >= min(limits.newest, len(newest))
    for one in files:
        if one.path in gone:
            assert not one.stays
            assert NOW - one.moment >= timedelta(days=limits.least_days)


@given(GENERATIONS, LIMITS)
def test_a_second_run_has_nothing_left_to_remove(files, limits):
    going, _waiting, _spent = within_budget(decide(files, limits, now=NOW), ALL)
    gone = {verdict.generation.path for verdict in going}
    rest = [one for one in files if one.path not in gone]
    assert due(rest, limits) == []


@given(GENERATIONS, LIMITS, BUDGETS)
def test_what_a_budget_leaves_is_younger_than_what_it_takes(files, limits, budget):
    going, waiting, _spent = within_budget(decide(files, limits, now=NOW), budget)
    if going and waiting:
        assert max(one.generation.moment for one in going) <= min(one.generation.moment for one in waiting)


@given(GENERATIONS, LIMITS, BUDGETS)
def test_runs_go_on_until_nothing_is_due(files, limits, budget):
    """Whatever the budget: what no run will ever take is told from what waits."""
    while True:
        verdicts = decide(files, limits, now=NOW, most=budget.bytes)
        going, waiting, _spent = within_budget(verdicts, budget)
        assert going or not waiting
        if not going:
            break
        gone = {verdict.generation.path for verdict in going}
        files = [one for one in files if one.path not in gone]
