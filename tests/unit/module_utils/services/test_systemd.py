# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import (
    SystemdError,
    job_seconds,
    parse_show,
    span_seconds,
    unit_name,
    unit_pattern,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.services.conftest import shown

FIXTURES = Path(__file__).parent / "fixtures"
RELEASES = ("debian12", "debian13")


@pytest.fixture(params=RELEASES)
def units(request):
    text = (FIXTURES / f"show-{request.param}.txt").read_text()
    return {unit.name: unit for unit in parse_show(text)}


@pytest.mark.parametrize(
    ("name", "state", "enabled"),
    [
        ("ssh.service", "active (running)", True),
        ("crashing.service", "activating (auto-restart)", True),
        ("failing.service", "failed (exit status 7)", True),
        ("stopped.service", "inactive (dead)", True),
        ("nothere.service", "not there", False),
    ],
)
def test_real_output_reads_as_a_person_would_say_it(units, name, state, enabled):
    assert units[name].state() == state
    assert units[name].enabled is enabled


def test_restarts_exit_codes_and_limits_are_read(units):
    assert units["crashing.service"].restarts >= 2
    assert (units["failing.service"].exit_code, units["failing.service"].exit_status) == (1, 7)
    assert units["ssh.service"].start_seconds == 90.0
    assert units["once.service"].start_seconds == math.inf
    assert units["ssh.service"].memory is None
    assert units["ssh.service"].answers_to_exactly("sshd.service")


def test_a_condition_that_was_never_looked_at_has_not_failed(units):
    assert units["conditional.service"].condition_failed
    assert not units["stopped.service"].condition_failed


def test_a_unit_asked_for_twice_stands_there_once(units):
    assert list(units).count("ssh.service") == 1


@given(st.text())
def test_no_output_breaks_the_parser(text):
    parse_show(text)


@given(st.text(alphabet=st.characters(blacklist_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_a_hostile_value_stays_within_its_unit(value):
    (unit, other) = parse_show(f"LoadState={value}\nId=a.service\n\nLoadState=loaded\nId=b.service\n")
    assert (unit.name, other.name, other.load) == ("a.service", "b.service", "loaded")


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [("1min 30s", 90.0), ("100ms", 0.1), ("2h 5min", 7500.0), ("infinity", math.inf), ("", None), ("soon", None)],
)
def test_time_spans(raw, seconds):
    assert span_seconds(raw) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("raw", ["app", "app@1", "dev-disk-by\\x2dlabel", "a:b_c.d"])
def test_names_get_their_suffix(raw):
    assert unit_name(raw, option="o") == f"{raw}.service"
    assert unit_name(f"{raw}.timer", option="o") == f"{raw}.timer"


@pytest.mark.parametrize(
    "raw", ["", "-all", "a b", "a/b", "../x", "a*", "app@", "app@.service", "a;b", "a\nb", "ä", "a" * 256]
)
def test_names_that_are_none_are_refused(raw):
    with pytest.raises(OptionError, match=r"Option 'units\[0\]'"):
        unit_name(raw, option="units[0]")


def test_globs():
    assert unit_pattern("app@*", option="o") == "app@*.service"
    assert unit_pattern("*.timer", option="o") == "*.timer"
    with pytest.raises(OptionError):
        unit_pattern("--help", option="o")


@pytest.fixture
def called(monkeypatch):
    calls = []

    def pretend(argv, *, timeout):
        calls.append(list(argv))
        return command.Completed(tuple(argv), called.rc, called.stdout, called.stderr)

    called = type("Called", (list,), {"rc": 0, "stdout": "", "stderr": ""})()
    monkeypatch.setattr(command, "run", pretend)
    called.calls = calls
    return called


def test_units_are_asked_for_in_one_call_after_a_double_dash(called):
    called.stdout = "Id=a.service\n"
    assert [unit.name for unit in systemd.show(["*.service", "a.service", "a.service"])] == ["a.service"]
    (argv,) = called.calls
    assert argv[:3] == ["systemctl", "show", "--all"]
    assert argv[-3:] == ["--", "*.service", "a.service"]


def test_a_manager_that_does_not_answer_is_an_error_with_its_words(called):
    called.rc, called.stderr = 1, "Failed to connect to bus: \x1b[31mNo such file\n"
    with pytest.raises(SystemdError, match="Failed to connect to bus: No such file"):
        systemd.show(["a.service"])


def test_a_refused_restart_is_an_error_with_its_words(called):
    called.rc, called.stderr = 4, "Failed to restart ssh.service: Access denied\n"
    with pytest.raises(SystemdError, match=r"'systemctl restart ssh\.service' failed: .*Access denied"):
        systemd.act("restart", "ssh.service", timeout=5)
    assert called.calls == [["systemctl", "--no-ask-password", "restart", "--", "ssh.service"]]


def test_hostile_log_lines_come_out_harmless(called):
    called.stdout = "\x1b]0;pwned\x07now password=hunter2\n\n<script>alert(1)</script>\n"
    assert systemd.journal_lines("a.service", lines=3) == ["now password=***", "<script>alert(1)</script>"]


def test_systemd_has_the_time_that_the_unit_allows():
    unit = shown("app.service")
    assert job_seconds(unit) == 120.0
    assert job_seconds(replace(unit, start_seconds=None)) == 120.0
    assert job_seconds(replace(unit, start_seconds=math.inf)) == 930.0
    assert job_seconds(replace(unit, start_seconds=math.inf, stop_seconds=math.inf)) == 1810.0
