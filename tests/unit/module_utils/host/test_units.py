# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd prints, and what is said of its units and timers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import units as units_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.units import (
    Timer,
    Unit,
    Units,
    parse_moment,
    parse_span,
    parse_units,
)

BOOTED = datetime(2026, 11, 21, 23, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("release", ["12", "13"])
def test_real_units_are_read(make, release):
    found = parse_units(make.real(f"systemctl_show_debian{release}.txt"), booted=BOOTED, exclude=[])
    by_name = {unit.name: unit for unit in found.units}
    assert [name for name, unit in by_name.items() if unit.active == "failed"] == ["broken.service"]
    assert by_name["broken.service"].result == "exit-code"
    assert by_name["broken.service"].since.tzinfo is timezone.utc
    assert by_name["flapping.service"].restarts > 1
    timers = {timer.name: timer for timer in found.timers}
    assert timers["tick.timer"].last is not None
    assert timers["tick.timer"].persistent
    assert timers["dpkg-db-backup.timer"].due == datetime(2026, 11, 22, tzinfo=timezone.utc)
    # Counted from boot, as 15 minutes and the time that the machine beneath the container had been up.
    assert timers["systemd-tmpfiles-clean.timer"].due > BOOTED


def test_units_can_be_left_out(make):
    found = parse_units(make.real("systemctl_show_debian12.txt"), booted=BOOTED, exclude=["broken.*", "*.timer"])
    assert "broken.service" not in {unit.name for unit in found.units}
    assert found.timers == ()


def test_a_failed_unit_whose_file_has_gone_is_still_failed():
    text = "Id=gone.service\nLoadState=not-found\nActiveState=failed\n\nId=never.service\nLoadState=not-found\nActiveState=inactive\n"
    assert [unit.name for unit in parse_units(text, booted=BOOTED, exclude=[]).units] == ["gone.service"]


@given(st.text())
def test_no_text_breaks_the_reader(text):
    parse_units(text, booted=BOOTED, exclude=[])
    parse_moment(text)
    parse_span(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("38min 51.885633s", 2331.885633),
        ("1d 2h", 93600),
        ("1month 1w", 2629800 + 604800),
        ("500ms", 0.5),
        ("3us", 0.000003),
        ("0", None),
        ("infinity", None),
        ("", None),
    ],
)
def test_time_spans_are_read(text, seconds):
    assert parse_span(text) == (seconds if seconds is None else pytest.approx(seconds))


def test_a_host_without_systemd_is_skipped(monkeypatch):
    monkeypatch.setattr(units_module.os.path, "isdir", lambda path: False)
    with pytest.raises(Absent) as caught:
        units_module.collect_units(booted=BOOTED, exclude=[])
    assert caught.value.status == "skipped"


def unit(name="web.service", active="active", restarts=0):
    return Unit(name, active, "running", "exit-code", restarts, None)


def test_every_failed_unit_is_an_item_of_its_own(ask, healthy):
    broken = Units((unit("a.service", "failed"), unit("b.mount", "failed"), unit("c.service")), ())
    findings = ask(replace(healthy, units=broken), "failed_units")
    assert [(one.item, one.status) for one in findings] == [("a.service", "warning"), ("b.mount", "warning")]


def test_no_failed_unit_is_ok(ask_one, healthy):
    finding = ask_one(replace(healthy, units=Units((unit(),), ())), "failed_units")
    assert (finding.status, finding.summary) == ("ok", "none of 1 unit has failed")


def test_a_hostile_unit_name_stays_text(ask_one, healthy):
    hostile = Units((unit("x\x1b]0;y\x07{{ 7*7 }}<b>.service", "failed"),), ())
    assert ask_one(replace(healthy, units=hostile), "failed_units").item == "x{{ 7*7 }}<b>.service"


def restarted(times, name="web.service"):
    return Units((unit(name, restarts=times),), ())


@pytest.mark.parametrize(
    ("boot", "now", "value", "status"),
    [
        ("boot-one", 12, 2, "ok"),
        ("boot-one", 13, 3, "warning"),
        ("boot-one", 20, 10, "critical"),
        ("boot-one", 4, 4, "warning"),
        ("boot-two", 11, 11, "critical"),
    ],
)
def test_restarts_are_those_since_the_last_run(ask_one, remembered, healthy, later, boot, now, value, status):
    memory = remembered(replace(healthy, units=restarted(10)))
    finding = ask_one(later(boot=boot, units=restarted(now)), "flapping_units", memory=memory)
    assert (finding.item, finding.value, finding.status) == ("web.service", value, status)


def test_units_that_were_not_restarted_make_one_finding(ask_one, remembered, healthy, later):
    memory = remembered(replace(healthy, units=restarted(10)))
    assert ask_one(later(units=restarted(10)), "flapping_units", memory=memory).item == "systemd"


def test_a_unit_that_is_new_and_restarts_is_seen(ask_one, remembered, healthy, later):
    memory = remembered(replace(healthy, units=restarted(0)))
    assert ask_one(later(units=restarted(5, "new.service")), "flapping_units", memory=memory).value == 5


def test_the_first_run_only_looks_at_restarts(ask_one, healthy):
    assert ask_one(replace(healthy, units=restarted(50)), "flapping_units").status == "skipped"


def timer(now, *, due=None, last=None, waiting=True, persistent=True):
    def moment(hours):
        return None if hours is None else now + timedelta(hours=hours)

    return Units((), (Timer("backup.timer", waiting, persistent, "backup.service", moment(last), moment(due)),))


@pytest.mark.parametrize(("due", "status"), [(1, "ok"), (-0.5, "ok"), (-2, "warning"), (-25, "critical")])
def test_a_timer_that_should_have_run_is_overdue(ask_one, healthy, make, due, status):
    assert ask_one(replace(healthy, units=timer(make.now, due=due)), "overdue_timers").status == status


def test_a_timer_whose_service_runs_now_is_not_overdue(ask_one, healthy, make):
    host = replace(healthy, units=timer(make.now, due=-25, waiting=False))
    assert ask_one(host, "overdue_timers").status == "ok"


def test_a_turn_that_was_promised_and_did_not_come_is_overdue(ask_one, remembered, healthy, later, make):
    memory = remembered(replace(healthy, units=timer(make.now, due=1)))
    host = later(hours=24)
    missed = replace(host, units=timer(host.now, due=2, last=-48))
    finding = ask_one(missed, "overdue_timers", memory=memory)
    assert (finding.item, finding.value, finding.status) == ("backup.timer", 23 * 3600, "warning")
    kept = replace(host, units=timer(host.now, due=2, last=-23))
    assert ask_one(kept, "overdue_timers", memory=memory).status == "ok"


@pytest.mark.parametrize(("persistent", "status"), [(True, "warning"), (False, "ok")])
def test_a_machine_that_was_off_excuses_only_timers_that_catch_nothing_up(
    ask_one, remembered, healthy, later, make, persistent, status
):
    memory = remembered(replace(healthy, units=timer(make.now, due=1, persistent=persistent)))
    host = later(hours=24, boot="boot-two")
    missed = replace(host, units=timer(host.now, due=2, persistent=persistent))
    assert ask_one(missed, "overdue_timers", memory=memory).status == status
