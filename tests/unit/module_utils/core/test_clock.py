# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times with their zone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import (
    Clock,
    Deadline,
    iso,
    parse_time,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError

NOON = datetime(2026, 3, 29, 12, tzinfo=timezone.utc)


class Stopped(Clock):
    def now(self):
        return NOON


@pytest.mark.parametrize(
    "raw",
    ["2026-03-29T12:00:00+00:00", "2026-03-29T12:00:00Z", "2026-03-29T14:00:00+02:00", "2026-03-29T12:00:00.000z"],
)
def test_moments_are_read_with_their_zone(raw):
    assert parse_time(raw, option="deadline") == NOON


@pytest.mark.parametrize(
    "raw", ["", "soon", "2026-13-01T00:00:00Z", "2026-03-29T12:00:00", "0001-01-01T00:00:00+14:00"]
)
def test_a_moment_that_is_none_is_refused_by_name(raw):
    with pytest.raises(OptionError, match="Option 'deadline' is "):
        parse_time(raw, option="deadline")


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_what_is_written_is_read_back_to_the_millisecond(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = iso(aware)
    assert text.endswith("Z")
    assert timedelta(0) <= aware - parse_time(text, option="x") < timedelta(milliseconds=1)


def test_a_deadline_counts_down_and_stays_at_nothing():
    assert Deadline(Stopped(), NOON + timedelta(minutes=2)).left() == 120
    late = Deadline(Stopped(), NOON - timedelta(minutes=2))
    assert (late.left(), late.passed()) == (0, True)
    assert Deadline(Stopped()).left() == float("inf")
    assert Deadline(Stopped(), NOON).passed()


def test_the_real_clock_is_aware():
    assert Clock().now().tzinfo is timezone.utc
