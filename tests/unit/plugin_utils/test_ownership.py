# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.ownership import (
    owners_of,
    parse_owners,
    parse_suppressions,
    suppress,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
ENTRY = {"check": "host.*", "owner": "ops", "reason": "disk is ordered", "until": "2026-06-30"}


def finding(check="host.disk_bytes", item="/var", status="critical"):
    return {"check": check, "item": item, "status": status, "summary": "full"}


def judged(*entries, now=NOW, **given):
    return suppress(finding(**given), parse_suppressions(list(entries), zone=BERLIN), now=now)


def test_a_suppression_in_force_names_owner_reason_and_end():
    assert judged(ENTRY)["suppressed"] == {
        "owner": "ops",
        "reason": "disk is ordered",
        "until": "2026-06-30T22:00:00.000Z",
    }


@pytest.mark.parametrize(
    "until", ["2026-06-10", date(2026, 6, 10), "2026-06-11T00:00", datetime.fromisoformat("2026-06-11")]
)
def test_a_date_lasts_to_its_end_in_the_zone_of_the_settings(until):
    entry = {**ENTRY, "until": until}
    assert "suppressed" in judged(entry, now=datetime(2026, 6, 10, 21, 59, 59, tzinfo=UTC))
    assert "suppressed" not in judged(entry, now=datetime(2026, 6, 10, 22, tzinfo=UTC))


def test_a_lapsed_one_turns_the_finding_red_again_and_says_so():
    found = judged({**ENTRY, "until": "2026-06-01"})
    assert "suppressed" not in found
    assert found["status"] == "critical"
    assert found["lapsed"] is True
    assert found["summary"] == "full; the suppression by ops lapsed 2026-06-01T22:00:00.000Z (disk is ordered)"


def test_one_in_force_wins_over_one_that_lapsed_in_either_order():
    lapsed = {**ENTRY, "until": "2026-06-01"}
    for entries in ((lapsed, ENTRY), (ENTRY, lapsed)):
        found = judged(*entries)
        assert "suppressed" in found
        assert "lapsed" not in found


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ({"check": "host.disk_bytes"}, True),
        ({"check": "host.memory"}, False),
        ({"check": "*"}, True),
        ({"check": "host.*", "item": "/var"}, True),
        ({"check": "host.*", "item": "/v*"}, True),
        ({"check": "host.*", "item": "/srv"}, False),
    ],
)
def test_checks_and_items_are_globs(entry, covered):
    assert ("suppressed" in judged({**ENTRY, **entry})) is covered


@pytest.mark.parametrize("glob", ["HOST.*", "host.memry", "host.disk_bytes[/var]", "hosts", "host.*.x"])
def test_a_check_that_nobody_asks_is_told_with_the_nearest_that_is_asked(glob):
    with pytest.raises(OptionError, match=r"maintenance_suppressions\[0\].check' is .*but must be the id of a check"):
        parse_suppressions([{**ENTRY, "check": glob}], zone=BERLIN)
    with pytest.raises(OptionError, match="but must be the id of a check"):
        parse_owners({glob: "ops"})


@pytest.mark.parametrize("status", ["ok", "skipped"])
def test_what_does_not_alarm_is_not_suppressed(status):
    assert judged(ENTRY, status=status) == finding(status=status)


def test_the_reason_of_a_suppression_is_cleaned_like_any_text():
    found = judged({**ENTRY, "reason": "\x1b[31mred\x1b[0m password=hunter2"})
    assert found["suppressed"]["reason"] == "red password=***"


@pytest.mark.parametrize("key", ["check", "owner", "reason", "until"])
def test_every_suppression_needs_its_four_words(key):
    entry = {name: value for name, value in ENTRY.items() if name != key}
    with pytest.raises(OptionError, match=rf"maintenance_suppressions\[0\]\.{key}"):
        parse_suppressions([entry], zone=BERLIN)


def test_the_last_glob_that_matches_gives_the_owners():
    owners = parse_owners({"*": "ops", "postgresql": ["dba", "ops"], "postgresql.replication*": "net", "host.*": []})
    assert owners_of("web.answer", owners) == ["ops"]
    assert owners_of("postgresql.connections", owners) == ["dba", "ops"]
    assert owners_of("postgresql.replication_lag", owners) == ["net"]
    assert owners_of("host.memory", owners) == []
    assert owners_of("host.memory", parse_owners("everybody")) == ["everybody"]
    assert owners_of("host.memory", parse_owners(None)) == []
