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


def test_a_generation_counts_where_its_log_is_called_like_one():
    alone = {
        "app.log.1",
        "syslog.1",
        "error_log-20260101",
        "nohup.out.1.gz",
        "shop.err.2",
        "localhost_access_log.2026-01-31.txt",
    }
    assert set(generations(alone)) == alone
    beside = {"messages": "messages.1", "mail.info": "mail.info.2.gz", "wtmp": "wtmp-20260101", "eve.json": "eve.json.1", "Xorg.log": "Xorg.0.log"}  # fmt: skip
    assert set(generations(beside.values())) == set()
    assert set(generations([*beside, *beside.values()])) == set(beside.values())


DATA = [
    "16397", "16397.2", "16397_vm.1", "libfoo.so", "libfoo.so.2", "tool.3.gz", "db-20250102.gz", "worker", "worker.1",
    "report", "report-20260101", "report-20260101.xz", "catalog", "catalog.1", "names.csv", "names-20260101.csv",
    "orders-20260101.json", "7.json", "7.json.1", "000123.log", "base.tar", "base.tar.20260101.gz",
]  # fmt: skip


def test_what_is_only_named_like_a_generation_is_none():
    assert generations(DATA) == {}


def test_a_log_that_is_not_called_like_one_is_named_by_the_policy():
    assert set(generations(DATA, called=["worker", "names*"])) == {"worker.1", "names-20260101.csv"}


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
