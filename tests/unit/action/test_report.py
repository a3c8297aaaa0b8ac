# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as users meet it: the last task of a real run of ansible-playbook."""

from __future__ import annotations

import json

from ansible_collections.fleetcare.maintenance.tests.shadow.site import check, task

REPORT = "fleetcare.maintenance.report"
DOWN = {"ansible_connection": "ssh", "ansible_host": "127.0.0.9", "ansible_port": 9}


def report(**arguments):
    return task("report", REPORT, arguments)


def latest(site):
    return json.loads((site.folder / "reports/latest.json").read_text(encoding="utf-8"))


def test_one_report_for_all_hosts_the_dead_one_included(site):
    site.hosts = {"one": {}, "two": {}, "dead": DOWN}
    site.variables |= {"maintenance_on_failure": "finding", "maintenance_cadence": "daily"}
    outcome = site.tasks(check(value=85), report())
    assert outcome.returncode == 2
    (result,) = [line["result"] for line in outcome.tape if line["task"] == "report"]
    assert result["counts"]["hosts"] == {"critical": 1, "warning": 2}
    assert [row["host"] for row in result["worst"]] == ["dead", "one", "two"]
    assert "The worst status is critical, and maintenance_fail_on is critical." in result["msg"]
    assert {host["host"]: host["unreachable"] for host in latest(site)["hosts"]} == {
        "one": False,
        "two": False,
        "dead": True,
    }
    assert site.problems() == []


def test_a_host_that_was_left_early_is_not_fine(site):
    site.hosts = {"one": {}, "two": {"wanted": "{{ nowhere_defined }}"}}
    broken = task(
        "look",
        "ansible.builtin.debug",
        {"msg": "{{ wanted | default('') if inventory_hostname == 'one' else wanted }}"},
    )
    outcome = site.tasks(check(value=10), broken, report())
    assert outcome.returncode == 2
    said = {
        host["host"]: [(one["check"], one["item"], one["status"]) for one in host["findings"]]
        for host in latest(site)["hosts"]
    }
    assert [name for name, found in said.items() if ("maintenance.fault", "run", "unknown") in found] == ["two"]
    (result,) = [line["result"] for line in outcome.tape if line["task"] == "report"]
    assert "Not everything could run: two: report: the run stopped early on this host" in " ".join(result["msg"])
    assert site.problems() == []


def test_a_module_that_fails_has_told_of_itself(site):
    site.hosts = {"one": {}, "two": {"ansible_connection": "ssh", "ansible_host": "127.0.0.9", "ansible_port": 9}}
    site.tasks(check(value=10), report())
    (two,) = [host for host in latest(site)["hosts"] if host["host"] == "two"]
    assert [one["check"] for one in two["findings"]] == ["maintenance.reachable"]


def test_text_of_a_host_is_never_a_template(site):
    template = "{% raw %}{{ 7 * 7 }}{% endraw %}"
    shown = task("show", "ansible.builtin.debug", {"msg": "{{ made.worst[0].item }} {{ made.msg | join(' ') }}"})
    outcome = site.tasks(check(value=85, item=template), {**report(), "register": "made"}, shown)
    assert outcome.returncode == 0, outcome.stdout
    assert outcome.results("show")[0]["msg"].startswith("{{ 7 * 7 }} 1 of 1 host needs attention: 1 warning.")
    html = (site.folder / "reports/latest.html").read_text(encoding="utf-8")
    assert "{{ 7 * 7 }}" in html
    assert ">49<" not in html


def test_check_mode_reports_and_leaves_no_history(site):
    site.tasks(check(value=85), report(), arguments=["--check"])
    assert latest(site)["run"]["check_mode"] is True
    outcome = site.tasks(check(value=85), report())
    assert outcome.results("report")[0]["counts"]["changes"]["new"] == 0
    outcome = site.tasks(check(value=95), report())
    assert outcome.results("report")[0]["counts"]["changes"]["worse"] == 1


def test_a_run_without_records_has_nothing_to_report(site):
    outcome = site.tasks(report())
    assert outcome.returncode == 2
    assert "This run has left no record" in outcome.results("report")[0]["msg"]


def test_a_wrong_option_is_one_sentence(site):
    outcome = site.tasks(check(), report(formats=["pdf"]))
    message = outcome.results("report")[0]["msg"]
    assert message.startswith("Option 'formats' is ['pdf'], but must be a list of some of html, json,")
