# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has changed in the settings, what waits, what is wrong in the files, and what risks the data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.configuration import (
    TOPIC,
    Configuration,
    Files,
    Line,
    Setting,
    differences,
    overruled,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

MAIN = "/etc/postgresql/17/main/postgresql.conf"
AUTO = "/var/lib/postgresql/17/main/postgresql.auto.conf"
WORK_MEM = Setting("work_mem", "4096", "kB", False)
BUFFERS = Setting("shared_buffers", "16384", "8kB", False)
CONNINFO = Setting("primary_conninfo", "host=a password=hidden-one", "", False)
values = st.dictionaries(st.sampled_from("abcdef"), st.text(max_size=3).map(lambda text: f"={text}"))


def configuration(*settings: Setting, **overrides: str) -> Configuration:
    return Configuration(settings, overrides)


def changed(before: Configuration, now: Configuration, *, user: str = "watcher") -> tuple[str, float | None, list[str]]:
    memory = remembered(replace(SERVER, now=NOW - timedelta(days=1)), settings=before.remembered(user))
    (finding,), _metrics = ask(TOPIC, "postgresql.settings_changed", parts={"configuration": now}, memory=memory)
    return finding.status, finding.value, [*finding.evidence, finding.summary]


def test_settings_that_are_as_they_were_are_fine() -> None:
    same = configuration(WORK_MEM, BUFFERS, CONNINFO)
    status, value, (summary,) = changed(same, same)

    assert (status, value) == ("ok", 0)
    assert "1 d ago" in summary


def test_a_change_is_told_by_name_with_both_values() -> None:
    before = configuration(WORK_MEM, BUFFERS)
    now = configuration(replace(WORK_MEM, value="8192"), replace(BUFFERS, value="32768"))

    assert changed(before, now)[:2] == ("info", 2)
    assert changed(before, now)[2][:2] == [
        "shared_buffers: 16384 x 8kB -> 32768 x 8kB",
        "work_mem: 4096 kB -> 8192 kB",
    ]


def test_a_setting_of_a_role_that_comes_or_goes_is_told() -> None:
    given_one = Configuration((), {'search_path of role Eve in database "x"': "a, b"})

    assert changed(configuration(), given_one)[2][0] == 'search_path of role Eve in database "x": new, a, b'
    assert changed(given_one, configuration())[2][0] == 'search_path of role Eve in database "x": gone, was a, b'


def test_a_secret_is_neither_shown_nor_remembered_and_yet_its_change_is_seen() -> None:
    before, now = configuration(CONNINFO), configuration(replace(CONNINFO, value="host=a password=hidden-two"))

    assert "hidden" not in str(before.remembered("watcher"))
    assert changed(before, now)[2][0] == "primary_conninfo: changed, the value is not shown"


@pytest.mark.parametrize("name", ["app.jwt_secret", "ssl_passphrase_command", "my.api_key", "x.password"])
def test_names_that_smell_of_secrets_keep_them(name: str) -> None:
    assert "Lohengrin" not in str(configuration(Setting(name, "Lohengrin", "", False)).remembered("watcher"))


@pytest.mark.parametrize("name", ["ssl_key_file", "archive_command", "work_mem"])
def test_names_that_do_not_are_shown(name: str) -> None:
    assert "Lohengrin" in str(configuration(Setting(name, "Lohengrin", "", False)).remembered("watcher"))


def test_a_long_value_is_remembered_by_its_fingerprint() -> None:
    kept = configuration(Setting("x", "a" * 250, "", False)).remembered("watcher")

    assert len(str(kept)) < 100
    assert kept != configuration(Setting("x", "a" * 249 + "b", "", False)).remembered("watcher")


def test_what_is_the_session_s_own_is_no_setting_of_the_server() -> None:
    assert configuration(Setting("application_name", "x", "", False)).remembered("watcher")["values"] == {}


def test_another_login_sees_other_settings_and_is_not_compared() -> None:
    same = configuration(WORK_MEM)

    assert changed(same, same, user="tester")[0] == "skipped"


def test_the_first_run_says_that_it_is_the_first() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.settings_changed", parts={"configuration": configuration(WORK_MEM)})

    assert finding.status == "skipped"
    assert "first" in finding.summary


@given(values, values)
def test_as_many_differences_as_names_whose_values_differ(before: dict[str, str], now: dict[str, str]) -> None:
    differing = {name for name in {*before, *now} if before.get(name) != now.get(name)}

    assert [line.partition(":")[0] for line in differences(before, now)] == sorted(differing)


def test_a_server_that_was_started_anew_is_told_and_one_that_runs_on_is_not() -> None:
    said = {}
    for days in (3, 1):
        before = replace(SERVER, started=NOW - timedelta(days=3), now=NOW - timedelta(hours=30))
        memory = remembered(before, settings=configuration(WORK_MEM).remembered("watcher"))
        server = replace(SERVER, started=NOW - timedelta(days=days))
        (finding,), _metrics = ask(TOPIC, "postgresql.restarted", server=server, memory=memory)
        said[days] = (finding.status, finding.value)
        assert "the last run was 1 d 6 h ago" in finding.summary

    assert said == {3: ("ok", 0), 1: ("info", 1)}


def test_what_waits_for_a_restart_is_told_with_the_value_that_waits() -> None:
    waiting = configuration(replace(BUFFERS, pending=True), WORK_MEM)
    files = Files((Line(MAIN, 130, "shared_buffers", "1GB", "setting could not be applied"),), ())
    parts = {"configuration": waiting, "files": files}
    (finding,), _metrics = ask(TOPIC, "postgresql.pending_restart", parts=parts)
    (error,), _metrics = ask(TOPIC, "postgresql.settings_errors", parts=parts)

    assert (finding.status, finding.value) == ("warning", 1)
    assert finding.evidence == (f"shared_buffers: 16384 x 8kB -> 1GB ({MAIN}, line 130)",)
    assert (error.status, error.value) == ("ok", 0)


def test_without_a_look_at_the_files_the_names_that_wait_are_told_all_the_same() -> None:
    parts = {
        "configuration": configuration(replace(BUFFERS, pending=True), replace(CONNINFO, pending=True)),
        "files": Absent("not allowed"),
    }
    (finding,), _metrics = ask(TOPIC, "postgresql.pending_restart", parts=parts)

    assert finding.evidence == ("shared_buffers: 16384 x 8kB", "primary_conninfo")


def test_a_line_that_the_server_cannot_use_is_critical() -> None:
    files = Files(
        (Line(MAIN, 7, "wrok_mem", "1", "unrecognized configuration parameter"),), ("pg_hba.conf, line 3: x",)
    )
    parts = {"configuration": configuration(WORK_MEM), "files": files}
    (finding,), _metrics = ask(TOPIC, "postgresql.settings_errors", parts=parts)

    assert (finding.status, finding.value) == ("critical", 2)
    assert finding.evidence[0] == f"{MAIN}, line 7: wrok_mem unrecognized configuration parameter"


def test_alter_system_outdoes_a_line_only_where_the_values_differ() -> None:
    lines = (
        Line(MAIN, 1, "work_mem", "4MB", ""),
        Line(MAIN, 2, "work_mem", "8MB", ""),
        Line(MAIN, 3, "port", "5432", ""),
        Line(AUTO, 3, "work_mem", "64MB", ""),
        Line(AUTO, 4, "port", "5432", ""),
        Line(AUTO, 5, "jit", "off", ""),
    )
    (finding,), _metrics = ask(TOPIC, "postgresql.alter_system", parts={"files": Files(lines, ())})

    assert (finding.status, finding.value) == ("info", 1)
    assert finding.evidence == (f"work_mem: 64MB, not 8MB as in {MAIN}, line 2",)
    assert "3 settings by ALTER SYSTEM" in finding.summary
    assert list(overruled(lines, {})) == []


def test_the_worst_setting_decides_and_all_are_told() -> None:
    risky = configuration(
        Setting("fsync", "off", "", False),
        Setting("synchronous_commit", "off", "", False),
        Setting("full_page_writes", "on", "", False),
    )
    (finding,), _metrics = ask(TOPIC, "postgresql.unsafe_settings", parts={"configuration": risky})
    (fine,), _metrics = ask(TOPIC, "postgresql.unsafe_settings", parts={"configuration": configuration(WORK_MEM)})

    assert finding.status == "critical"
    assert [line.partition(" ")[0] for line in finding.evidence] == ["fsync", "synchronous_commit"]
    assert fine.status == "ok"
