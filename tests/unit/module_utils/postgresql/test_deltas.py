# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters between two runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters, grown_by_name
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Recalled
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import NOW

HOUR = timedelta(hours=1)
RECALLED = Recalled(data={}, at=NOW - HOUR, same_start=True)
AMOUNTS = st.integers(min_value=0, max_value=2**62)


@given(before=AMOUNTS, more=AMOUNTS)
def test_what_grew_is_the_difference(before: int, more: int) -> None:
    grown = Counters({"hit": before + more}).grown(Counters({"hit": before}).plain(), recalled=RECALLED, now=NOW)

    assert grown is not None
    assert grown["hit"] == more
    assert grown.seconds == 3600
    assert not grown.reset


@given(before=AMOUNTS, after=AMOUNTS)
def test_after_a_reset_all_that_is_counted_came_since(before: int, after: int) -> None:
    reset = NOW - timedelta(minutes=5)
    grown = Counters({"hit": after}, reset).grown(Counters({"hit": before}).plain(), recalled=RECALLED, now=NOW)

    assert grown is not None
    assert grown["hit"] == after
    assert grown.seconds == 300
    assert grown.reset


def test_a_crash_that_nobody_notes_shows_in_a_counter_that_fell() -> None:
    past = Counters({"hit": 10, "read": 3}).plain()
    grown = Counters({"hit": 20, "read": 2}).grown(past, recalled=RECALLED, now=NOW)

    assert grown is not None
    assert (grown["hit"], grown["read"], grown.reset) == (20, 2, True)


def test_after_a_clock_was_set_back_nobody_knows_a_rate() -> None:
    later = replace(RECALLED, at=NOW + HOUR)
    grown = Counters({"hit": 20}).grown(Counters({"hit": 10}).plain(), recalled=later, now=NOW)

    assert grown is not None
    assert grown["hit"] == 10
    with pytest.raises(Absent, match="set back"):
        grown.rate("hit")


def test_what_the_last_run_did_not_know_is_left_out() -> None:
    past = Recalled(
        data={"old": Counters({"hit": 1}).plain(), "upgraded": Counters({"miss": 1}).plain(), "torn": {"counts": None}},
        at=NOW - HOUR,
        same_start=True,
    )
    now = dict.fromkeys(("old", "upgraded", "torn", "new"), Counters({"hit": 3}))

    assert list(grown_by_name(now, past, now=NOW)) == ["old"]
