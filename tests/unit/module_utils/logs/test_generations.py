# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotated names are told from live ones, whatever the names are."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.generations import generations, parse


@pytest.mark.parametrize(
    ("name", "log", "number", "day"),
    [
        ("app.log.1", "app.log", 1, None),
        ("app.log.12.gz", "app.log", 12, None),
        ("syslog.2.xz", "syslog", 2, None),
        ("app.3.log", "app.log", 3, None),
        ("app.log-20260131", "app.log", 0, (2026, 2, 1)),
        ("app.log-20260131.gz", "app.log", 0, (2026, 2, 1)),
        ("app-20260131.log.gz", "app.log", 0, (2026, 2, 1)),
        ("app.log-2026013123", "app.log", 0, (2026, 2, 1)),
        ("app.log-20260131-235959.zst", "app.log", 0, (2026, 2, 1)),
        ("app.2026-01-31.log", "app.log", 0, (2026, 2, 1)),
        ("app-2026-01-31.4.log.gz", "app.log", 4, (2026, 2, 1)),
        ("postgresql-2026-01-31_000000.log", "postgresql.log", 0, (2026, 2, 1)),
        ("app_2026_12_31.out", "app.out", 0, (2027, 1, 1)),
    ],
)
def test_forms_of_rotated_names(name, log, number, day):
    found = parse(name)
    assert found is not None
    assert (found.log, found.number) == (log, number)
    assert found.until == (datetime(*day, tzinfo=timezone.utc) if day else None)


@pytest.mark.parametrize(
    "name",
    [
        "app.log", "app.log.gz", "app.log.2024", "app.log-20261301", "app.log-20260230", "app.log-1700000000",
        "app.log.1\n", "app\n.log.1", "app.log.\u20281", ".app.log.1", "..", "a/b.log.1", "app.log.1.bak", "app.log.-1", "",
    ],
)  # fmt: skip
def test_what_is_no_rotated_name(name):
    assert parse(name) is None


def test_a_name_that_may_be_live_counts_only_beside_its_log():
    assert set(generations(["worker.1", "Xorg.0.log", "report-20260101"])) == set()
    assert set(generations(["worker", "worker.1", "Xorg.log", "Xorg.0.log"])) == {"worker.1", "Xorg.0.log"}
    assert set(generations(["worker.1.gz", "report-20260101.xz"])) == {"worker.1.gz", "report-20260101.xz"}
    assert set(generations(["messages.1", "syslog.1"])) == {"syslog.1"}


PIECES = st.sampled_from(
    [
        "app",
        "log",
        ".log",
        ".1",
        ".2",
        ".10",
        ".gz",
        ".xz",
        "-20260131",
        ".2026-01-31",
        "-",
        ".",
        "\n",
        "error",
        ".old",
        "_",
    ]
)
NAMES = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@given(st.sets(NAMES, max_size=25))
def test_no_log_of_anything_is_a_generation(names):
    found = generations(names)
    assert set(found) <= names
    assert not set(found) & {rotated.log for rotated in found.values()}


@given(NAMES)
def test_a_rotated_name_says_more_than_its_log(name):
    found = parse(name)
    if found:
        assert len(found.log) < len(name)
        assert parse(found.log + ".1") is not None


@given(st.text(max_size=60))
def test_no_name_breaks_the_reader(name):
    found = parse(name)
    assert found is None or (found.log and 0 <= found.number <= 999)
