# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import sys
import time
from types import SimpleNamespace
from unittest import mock

import pytest

from ansible_collections.fleetcare.maintenance.plugins.callback import console


class Named:
    def __init__(self, name, action=""):
        self.name, self.action, self.diff = name, action, False

    def get_name(self):
        return self.name


def result(plain, host="web1", task="look", action="fleetcare.maintenance.host_check"):
    return SimpleNamespace(_host=Named(host), _task=Named(task, action), _result=plain)


def finding(status="warning", summary="memory: 85 %", check="host.memory", item="memory", **more):
    return {"check": check, "item": item, "status": status, "summary": summary, **more}


def stats(**given):
    return SimpleNamespace(**{"changed": {}, "processed": {}, "failures": {}, "dark": {}, **given})


@pytest.fixture
def screen(monkeypatch):
    """A console that is no terminal, 100 columns wide, and what it printed."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("ansible.utils.color.ANSIBLE_COLOR", False)
    printed = []
    callback = console.CallbackModule()
    callback._display = SimpleNamespace(display=lambda text, color=None: printed.extend(text.split("\n")), verbosity=0)
    callback.get_option = {"console_rows": 40}.__getitem__
    callback._started = time.monotonic()
    return callback, printed


def shown(screen, *results, **given):
    callback, printed = screen
    for entry in results:
        callback.v2_runner_on_ok(entry)
    callback.v2_playbook_on_stats(stats(**given))
    return [re.sub(r"in [\d.]+ m?s", "in 1 s", line) for line in printed]


def test_the_worst_comes_first_and_what_is_fine_is_counted(screen):
    lines = shown(
        screen,
        result({"findings": [finding(), finding("ok"), finding("skipped")]}),
        result({"findings": [finding("info"), finding("critical", "full", "host.disk_bytes", "/var")]}, host="db1"),
        result({"findings": [finding("unknown", "could not run", "maintenance.fault")]}, host="db1"),
    )
    assert lines == [
        "",
        "critical  db1   host.disk_bytes    /var: full",
        "unknown   db1   maintenance.fault  memory: could not run",
        "warning   web1  host.memory        memory: 85 %",
        "info      db1   host.memory        memory: 85 %",
        "",
        "2 hosts, 6 findings in 1 s: 1 critical, 1 unknown, 1 warning, 1 info, 1 skipped, 1 ok",
    ]


def test_on_a_terminal_a_host_is_said_once_in_each_status(screen):
    callback, _printed = screen
    callback._terminal = True
    with mock.patch.object(sys, "stdout"):
        lines = shown(
            screen,
            result({"findings": [finding("critical", "one"), finding("critical", "two"), finding("warning", "three")]}),
        )
    assert lines[1:4] == [
        "critical  web1  host.memory  memory: one",
        "critical        host.memory  memory: two",
        "warning   web1  host.memory  memory: three",
    ]


def test_a_long_sentence_is_folded_under_itself(screen):
    lines = shown(screen, result({"findings": [finding(summary="word " * 60, item="")]}))
    assert all(len(line) <= 100 for line in lines)
    start = lines[1].index("word")
    assert [line[:start].strip() for line in lines[2:5]] == ["", "", ""]
    assert sum(line.count("word") for line in lines) == 60


def test_a_figure_stays_with_its_unit(screen):
    lines = shown(screen, result({"findings": [finding(summary="90 % 1.5 GiB " * 20, item="")]}))
    assert all(line.endswith(("%", "GiB")) for line in lines[1:4])


def test_on_a_narrow_screen_the_sentence_goes_under_its_check(screen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    lines = shown(screen, result({"findings": [finding(summary="word " * 20, item="")]}))
    assert lines[1] == "warning   web1  host.memory"
    assert lines[2].startswith("  word")
    assert all(len(line) <= 50 for line in lines[2:5])


def test_ten_thousand_findings_take_a_bounded_room_and_the_worst_stay(screen):
    callback, printed = screen
    many = {"findings": [finding("info", f"number {number}") for number in range(100)]}
    for _round in range(100):
        callback.v2_runner_on_ok(result(many))
    callback.v2_runner_on_ok(result({"findings": [finding("critical", "the one")]}))
    assert len(callback._rows) == 40
    callback.v2_playbook_on_stats(stats())
    assert "the one" in printed[1]
    assert "and 9961 findings more in the report" in printed
    assert len(printed) < 50


def test_deeds_are_told_and_bounded(screen):
    callback, printed = screen
    applied = {"findings": [], "applied": [{"action": "restart", "target": "app"}], "failures": [], "changed": True}
    callback.v2_runner_on_ok(result(applied))
    failed = {**applied, "applied": [], "failures": [{"action": "restart", "target": "db", "error": "no"}], "plan": []}
    callback.v2_runner_on_ok(result(failed))
    planned = {**applied, "applied": [], "plan": [{"action": "restart", "target": "web", "reason": "it failed"}]}
    callback.v2_runner_on_ok(result(planned))
    waiting = {"findings": [finding("skipped", "service_recover did not run: later opens", "maintenance.window")]}
    callback.v2_runner_on_skipped(result(waiting))
    for _round in range(200):
        callback.v2_runner_on_ok(result(applied))
    callback.v2_playbook_on_stats(stats())
    assert printed[:6] == [
        "",
        "Repairs",
        "  web1: restart app: done",
        "  web1: failed to restart db: no",
        "  web1: would restart web: it failed",
        "  web1: service_recover did not run: later opens",
    ]
    assert "  and 154 more in the report" in printed


def test_suppressed_findings_are_counted_and_not_shown(screen):
    lines = shown(screen, result({"findings": [finding("critical", suppressed={"owner": "ops"})]}))
    assert lines == ["", "1 host, 1 finding in 1 s: 1 suppressed"]


def test_a_loop_counts_its_items_once(screen):
    callback, _printed = screen
    item = {"findings": [finding()]}
    callback.v2_runner_item_on_ok(result(item))
    callback.v2_runner_item_on_failed(result(item))
    lines = shown(screen, result({"results": [item, item], "changed": True}))
    assert lines[-1] == "1 host, 2 findings in 1 s: 2 warning"


HOSTILE = "\x1b[2J\x1b]0;owned\x07<b>\r\n\u202egpj password=hunter2"


def test_hostile_text_is_printed_as_one_harmless_line(screen):
    callback, printed = screen
    callback.v2_runner_on_ok(result({"findings": [finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE)]}, host=HOSTILE))
    callback.v2_runner_on_ok(result({"findings": "none", "applied": [3], "failures": {"a": 1}}))
    callback.v2_runner_on_ok(result({"findings": [None, 3, []], "plan": "x", "applied": None, "changed": True}))
    callback.v2_runner_on_failed(result({"msg": HOSTILE * 10_000}, task=HOSTILE))
    callback.v2_runner_on_unreachable(result({"msg": HOSTILE}))
    callback.v2_runner_on_ok(result({"msg": HOSTILE}, action="ansible.builtin.debug"))
    callback.v2_runner_on_ok(result({"console": [HOSTILE], "changed": True}))
    callback.v2_playbook_on_stats(stats(failures={HOSTILE: 1}))
    text = "\n".join(printed)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "hunter2" not in text
    assert "<b>" in text


def test_a_failure_without_findings_is_seen_and_so_is_an_early_end(screen):
    callback, printed = screen
    callback.v2_runner_on_failed(result({"msg": "no such file"}, action="ansible.builtin.copy"))
    callback.v2_runner_on_failed(result({"msg": "bad luck"}), ignore_errors=True)
    callback.v2_playbook_on_stats(stats(failures={"web1": 1}, dark={f"h{number:02d}": 1 for number in range(12)}))
    assert printed[0] == "  web1: look: failed: no such file"
    assert printed[1] == "  web1: look: failed (ignored): bad luck"
    assert printed[-2] == "The run stopped early on web1: failed"
    assert printed[-1].startswith("The run stopped early on h00, h01, h02")
    assert printed[-1].endswith("h09 and 2 more: unreachable")


def test_a_playbook_without_findings_ends_with_a_count(screen):
    callback, printed = screen
    callback.v2_runner_on_ok(result({"changed": True}, action="ansible.builtin.copy"))
    assert printed == ["  web1: look: changed"]
    lines = shown(screen, processed={"web1": 1}, changed={"web1": 1})
    assert lines[-1] == "1 host, 1 change in 1 s"


def test_a_warning_is_shown_once_for_all_hosts_and_harmless(screen):
    warned = {"findings": [], "warnings": ["No role reads 'web_endpoint'\x1b[31m"]}
    out = "\n".join(shown(screen, *(result(dict(warned), host=f"web{number}") for number in range(3))))
    assert out.count("  warning: No role reads 'web_endpoint'") == 1
    assert "\x1b" not in out
    many = {"findings": [], "warnings": [f"warning number {number}" for number in range(1000)]}
    assert "\n".join(shown(screen, result(many))).count("warning number") == 19


def test_the_report_has_the_last_word(screen):
    lines = shown(screen, result({"findings": [finding("ok")]}), result({"console": ["Report: reports/latest.html"]}))
    assert lines[-1] == "Report: reports/latest.html"


def test_a_run_that_its_report_fails_did_not_stop_early(screen):
    callback, printed = screen
    callback.v2_runner_on_failed(result({"console": ["The worst status is critical, and so on."]}))
    callback.v2_playbook_on_stats(stats(failures={"web1": 1, "web2": 1}))

    assert printed[-2:] == ["The run stopped early on web2: failed", "The worst status is critical, and so on."]


def test_colours_follow_ansible(screen, monkeypatch):
    monkeypatch.setattr("ansible.utils.color.ANSIBLE_COLOR", True)
    lines = shown(screen, result({"findings": [finding("critical")]}))
    assert lines[1].startswith("\x1b[")
    assert "\x1b[" in lines[-1]


def test_progress_is_one_line_on_a_terminal_and_a_line_now_and_then_in_a_log(screen):
    callback, printed = screen
    callback._said = time.monotonic() - 60
    callback.v2_runner_on_start(Named("web1"), Named("look"))
    callback.v2_runner_on_start(Named("web1"), Named("look"))
    assert printed == ["  0 findings from 0 hosts"]
    callback._terminal, callback._said = True, 0.0
    with mock.patch.object(sys, "stdout") as stdout:
        callback.v2_runner_on_start(Named("web\x1b[2J1"), Named("x" * 200))
        drawn = stdout.write.call_args[0][0]
        assert drawn.startswith("\r\x1b[K  0 findings from 0 hosts, now web1: xxx")
        assert len(drawn) <= 100 + len("\r\x1b[K")
        callback._line("next")
        assert stdout.write.call_args[0][0] == "\r\x1b[K"
