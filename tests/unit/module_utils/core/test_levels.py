# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparator and the user's overrides."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels, override

FIGURES = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("value", "status"),
    [(79.9, "ok"), (80, "warning"), (89.99, "warning"), (90, "critical"), (math.inf, "critical"), (-math.inf, "ok")],
)
def test_upper_levels_trip_at_the_level_itself(value, status):
    assert Levels(warning=80, critical=90).judge(value) == status


@pytest.mark.parametrize(("value", "status"), [(14, "ok"), (13.9, "warning"), (3, "warning"), (2.9, "critical")])
def test_lower_levels_trip_below_the_level(value, status):
    assert Levels(warning=14, critical=3, direction="lower").judge(value) == status


def test_no_number_is_unknown_and_never_ok():
    assert Levels(warning=1).judge(math.nan) == "unknown"
    assert Levels(warning=1, direction="lower").judge(math.nan) == "unknown"


@given(limits=st.lists(FIGURES, min_size=3, max_size=3).map(sorted), first=FIGURES, second=FIGURES)
def test_a_higher_value_is_never_judged_milder_by_upper_levels(limits, first, second):
    levels = Levels(*limits)
    low, high = sorted([first, second])
    assert RANK[levels.judge(low)] <= RANK[levels.judge(high)]


@given(limits=st.lists(FIGURES, min_size=3, max_size=3).map(sorted), value=FIGURES)
def test_negated_lower_levels_are_upper_levels_but_for_the_boundary(limits, value):
    upper = Levels(*limits)
    lower = Levels(*(-limit for limit in limits), direction="lower")
    if value not in limits:
        assert upper.judge(value) == lower.judge(-value)


def test_levels_are_worded_with_unit_and_direction():
    assert Levels(80, 90).worded("%") == "info from 80 %, warning from 90 %"
    assert Levels(warning=14, direction="lower").worded("d") == "warning below 14 d"
    assert Levels().worded("%") == ""


def test_levels_as_a_finding_carries_them():
    assert Levels().as_dict() == {}
    assert Levels(warning=1, runs=3).as_dict() == {"warning": 1, "direction": "upper", "for": 3}


def test_an_override_changes_what_it_names_and_null_turns_off():
    base = Levels(info=60, warning=80, critical=95, runs=2)
    assert override(base, {"warning": 85}, option="o") == Levels(60, 85, 95, runs=2)
    assert override(base, {"info": None, "for": 3}, option="o") == Levels(None, 80, 95, runs=3)
    assert override(base, {"warning": "85.5"}, option="o").warning == 85.5


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (5, "Option 'o' is 5, but must be a mapping"),
        ({"warn": 5}, "Option 'o.warn' is not known; did you mean 'warning'"),
        ({"warning": "high"}, "Option 'o.warning' is 'high', but must be a number or null"),
        ({"warning": True}, "Option 'o.warning' is True, but must be a number or null"),
        ({"warning": "nan"}, "a finite number or null"),
        ({"warning": [1]}, "a number or null"),
        ({"for": 0}, "a whole number of runs from 1 to 100"),
        ({"for": 1.5}, "a whole number of runs from 1 to 100"),
        ({"for": True}, "a whole number of runs from 1 to 100"),
        ({"for": 101}, "a whole number of runs from 1 to 100"),
        ({"warning": 96}, "rise from info over warning to critical"),
    ],
)
def test_bad_overrides_are_refused_in_one_sentence(raw, sentence):
    with pytest.raises(OptionError) as caught:
        override(Levels(60, 80, 95), raw, option="o")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lower_levels_must_fall():
    with pytest.raises(OptionError, match="fall from info over warning"):
        override(Levels(warning=14, critical=3, direction="lower"), {"critical": 20}, option="o")


def test_the_more_special_key_wins_then_the_later_one():
    book = LevelBook(
        {
            "host.disk_bytes[/var*]": {"warning": 70},
            "host.disk_bytes": {"warning": 60, "for": 2},
            "host.disk_bytes[/var/log]": {"warning": 75},
        }
    )
    default = Levels(warning=85, critical=90)
    assert book.lookup("host.disk_bytes", "/", default) == Levels(warning=60, critical=90, runs=2)
    assert book.lookup("host.disk_bytes", "/var", default) == Levels(warning=70, critical=90, runs=2)
    assert book.lookup("host.disk_bytes", "/var/log", default) == Levels(warning=75, critical=90, runs=2)
    assert book.lookup("host.other", "/", default) is default


def test_levels_can_be_given_to_a_check_that_has_none():
    assert LevelBook({"host.uptime": {"warning": 100}}).lookup("host.uptime", "", None) == Levels(warning=100)
    assert LevelBook().lookup("host.uptime", "", None) is None


def test_a_key_with_half_a_bracket_is_refused():
    with pytest.raises(OptionError, match="keyed by a check id"):
        LevelBook({"host.disk_bytes[/var": {}})


def test_the_book_knows_for_whom_a_limit_was_set():
    book = LevelBook({"a.x": {"for": 2}, "a.y": {"warning": 1}, "a.z[/var*]": {"critical": None}})
    assert not book.sets_limits("a.x", "/")
    assert book.sets_limits("a.y", "/")
    assert book.sets_limits("a.z", "/var/log")
    assert not book.sets_limits("a.z", "/")
    assert book.checks() == {"a.x", "a.y", "a.z"}


def test_overrides_for_items_are_verified_before_any_item_is_seen():
    with pytest.raises(OptionError, match=r"levels\.a\.x\[/nowhere\]\.warning"):
        LevelBook({"a.x[/nowhere]": {"warning": "much"}}).verify("a.x", None)
