# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate as users meet it: real runs of ansible-playbook, with a check and a repair that do what the test says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import check, repair, task

#: Nobody listens on the discard port of the loopback network, and it says so at once.
DOWN = {"ansible_connection": "ssh", "ansible_host": "127.0.0.9", "ansible_port": 9}
DEBUG = "ansible.builtin.debug"


def clock(minutes):
    """A time of day so many minutes from now, in UTC."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%H:%M}"


OPEN = [{"name": "now", "start": clock(-60), "end": clock(120)}]
SHUT = [{"name": "later", "start": clock(180), "end": clock(240)}]


def findings(result):
    return {finding["check"]: finding for finding in result["findings"]}


def test_a_check_comes_back_judged_owned_and_recorded(site):
    site.variables |= {
        "maintenance_levels_a": {"host.memory": {"warning": 70, "critical": 95}},
        "maintenance_levels_b": {"host.memory": {"warning": "{{ threshold }}"}},
        "threshold": 60,
        "maintenance_owners": {"*": "ops", "host": "{{ team }}"},
        "team": "hosts",
        "maintenance_suppressions": [
            {"check": "host.*", "item": "/srv*", "owner": "ops", "reason": "known", "until": "{{ '2999-01-01' }}"},
            {"check": "host.*", "item": "/old", "owner": "ops", "reason": "was known", "until": "2020-01-01"},
        ],
        "maintenance_contacts": {"ops": ["mailto://ops:hunter2@example.org"]},
        "maintenance_store_url": "sqlite:///hunter2.db",
    }
    outcome = site.tasks(
        check("merged", value=65),
        check("own", value=65, levels={"host.memory": {"warning": 66}}),
        check("known", value=99, item="/srv/data"),
        check("lapsed", value=99, item="/old"),
        arguments=["-e", "secret=hunter2", "-e", '{"inline": "hunter2"}'],
    )
    assert outcome.returncode == 0, outcome.stdout
    merged = outcome.results("merged")[0]
    assert (merged["status"], merged["findings"][0]["owners"]) == ("warning", ["hosts"])
    assert merged["findings"][0]["levels"] == {"warning": 60, "critical": 95, "direction": "upper"}
    assert outcome.results("own")[0]["status"] == "ok"
    known = outcome.results("known")[0]
    assert (known["status"], known["summary"]) == ("skipped", "1 finding, all suppressed")
    assert known["findings"][0]["suppressed"]["reason"] == "known"
    lapsed = outcome.results("lapsed")[0]
    assert lapsed["status"] == "critical"
    assert "lapsed 2020-01-02" in lapsed["findings"][0]["summary"]

    records = site.records()
    assert [record["task"] for record in records] == ["merged", "own", "known", "lapsed"]
    assert [record["sequence"] for record in records] == [0, 1, 2, 3]
    assert {record["run"] for record in records} == set(site.runs())
    assert merged["journal"]["hash"] == records[0]["hash"]
    assert records[0]["metrics"] == [{"name": "host.memory", "item": "memory", "value": 65.0, "unit": "%"}]
    assert site.problems() == []
    written = b"".join(path.read_bytes() for path in site.journal.rglob("*") if path.is_file())
    assert b"hunter2" not in written


def test_run_json_says_who_ran_what_from_where(site):
    site.environment |= {"SUDO_USER": "carol"}
    site.variables |= {"awx_job_id": 4711, "tower_user_name": "dave", "awx_job_template_name": "Daily"}
    site.tasks(check(), arguments=["--check", "--diff", "-l", "localhost", "-e", "a=1 b=2", "-e", '{"c": 3}'])
    header = json.loads((site.journal / site.runs()[0] / "run.json").read_text())
    assert header["sudo_user"] == "carol"
    assert header["user"]
    assert header["job"] == {"job_id": "4711", "launched_by": "dave", "template": "Daily"}
    assert (header["check_mode"], header["diff_mode"], header["limit"]) == (True, True, "localhost")
    assert header["extra_variables"] == ["a", "b", "c"]
    assert header["hosts"] == ["localhost"]
    assert header["playbooks"] == [str(site.folder / "playbook.yml")]
    assert header["working_directory"] == str(site.folder)
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", header["run"])
    assert site.records()[0]["check_mode"] is True


def test_all_workers_of_a_run_share_its_id_and_the_next_run_has_another(site):
    site.hosts = {f"host{number}": {} for number in range(6)}
    for _round in range(2):
        outcome = site.tasks(check("first"), check("second"), strategy="free", arguments=["--forks", "6"])
        assert outcome.returncode == 0
    assert len(site.runs()) == 2
    for run in (0, 1):
        assert {host: len(site.records(host, run)) for host in site.hosts} == dict.fromkeys(site.hosts, 2)
    assert site.problems() == []


def test_loops_delegation_run_once_and_defaults_of_the_group(site):
    site.hosts = {"one": {}, "two": {}}
    outcome = site.tasks(
        check("looped", value="{{ item }}") | {"loop": [10, 85]},
        check("delegated") | {"delegate_to": "two"},
        check("once") | {"run_once": True},
        module_defaults={"group/fleetcare.maintenance.maintenance": {"levels": {"host.memory": {"warning": 5}}}},
    )
    assert outcome.returncode == 0, outcome.stdout
    one, two = site.records("one"), site.records("two")
    assert [record["task"] for record in one] == ["looped", "looped", "delegated", "once"]
    assert [record["task"] for record in two] == ["looped", "looped", "delegated"]
    assert [record["status"] for record in one[:2]] == ["warning", "warning"]
    assert one[2]["delegated_to"] == "two"
    assert "delegated_to" not in two[2]
    looped = outcome.results("looped", "one")[0]["results"]
    assert [result["journal"]["sequence"] for result in looped] == [0, 1]


def test_async_is_refused_in_a_sentence(site):
    outcome = site.tasks(check() | {"async": 10, "poll": 0})
    assert outcome.returncode == 2
    assert "Option 'async' cannot be used" in outcome.results("look")[0]["msg"]
    assert not site.journal.exists()


WRONG = [
    ("maintenance_windows", "night", "Option 'maintenance_windows' is 'night', but must be a list."),
    (
        "maintenance_window",
        [],
        "Option 'maintenance_window' is not known; did you mean 'maintenance_windows'?",
    ),
    ("maintenance_levels", {"host.memory": 3}, "Option 'maintenance_levels.host.memory' is 3, but must be a mapping"),
    (
        "maintenance_levels",
        {"host.nothing": {"warning": 1}},
        "Option 'maintenance_levels.host.nothing' is 'host.nothing', but must be the id of a check",
    ),
    (
        "maintenance_suppressions",
        [{"check": "host.memry", "owner": "ops", "reason": "known", "until": "2030-01-01"}],
        "Option 'maintenance_suppressions[0].check' is 'host.memry', but must be the id of a check, a glob of ids",
    ),
    (
        "maintenance_owners",
        {"hots": "ops"},
        "Option 'maintenance_owners.hots' is 'hots', but must be the id of a check",
    ),
    ("maintenance_levels", {"host.memory": {"warning": 99}}, "but must be levels that rise"),
    ("maintenance_on_failure", "ignore", "Option 'maintenance_on_failure' is 'ignore', but must be one of error, find"),
]


def test_settings_that_are_wrong_stop_a_host_before_anything_is_touched(site):
    site.hosts = {f"host{number}": {name: value} for number, (name, value, _sentence) in enumerate(WRONG)}
    mark = site.folder / "mark"
    outcome = site.tasks(check(mark=str(mark)))
    assert outcome.returncode == 2
    for number, (_name, _value, sentence) in enumerate(WRONG):
        assert sentence in outcome.results("look", f"host{number}")[0]["msg"]
    assert "Traceback" not in outcome.stdout + outcome.stderr
    assert not mark.exists()


def test_a_fault_is_an_error_by_default_and_a_finding_in_a_cadence(site):
    bad = [
        check("library", fail="The Python library 'x' is not there."),
        check("option", value="many"),
        check("garbage", raw="no json at all"),
        check("shape", raw=json.dumps({"findings": [{"check": 3}], "changed": False})),
        check("after"),
    ]
    outcome = site.tasks(*[entry | {"ignore_errors": True} for entry in bad])
    assert [outcome.events(entry["name"])["localhost"] for entry in bad] == ["failed"] * 4 + ["ok"]
    assert outcome.results("library")[0]["msg"] == "The Python library 'x' is not there."

    site.variables["maintenance_on_failure"] = "finding"
    outcome = site.tasks(*bad)
    assert outcome.returncode == 0
    assert [outcome.events(entry["name"])["localhost"] for entry in bad] == ["ok"] * 5
    records = site.records()
    assert [record["status"] for record in records] == ["unknown"] * 4 + ["ok"]
    assert records[0]["fault"] == "The Python library 'x' is not there."
    assert records[1]["fault"] == "Option 'value' is 'many', but must be a number."
    assert "no json at all" in records[2]["fault"]
    assert records[3]["fault"] == "A finding of the module has the check 3 and the status None."


def test_a_host_that_is_down_is_an_error_by_default(site):
    site.hosts = {"up": {}, "down": DOWN}
    outcome = site.tasks(check("first"), check("second"))
    assert outcome.returncode == 4
    assert outcome.events("first") == {"up": "ok", "down": "unreachable"}
    assert outcome.events("second") == {"up": "ok"}
    record = site.records("down")[0]
    assert (record["unreachable"], record["status"]) == (True, "critical")
    assert record["findings"][0]["check"] == "maintenance.reachable"


def test_a_host_that_is_down_leaves_a_cadence_as_one_finding(site):
    site.hosts = {"up": {}, "down": DOWN}
    site.variables["maintenance_on_failure"] = "finding"
    outcome = site.tasks(
        check("first"), check("second"), check("elsewhere") | {"delegate_to": "up"}, check("third"), strategy="free"
    )
    assert outcome.returncode == 0
    assert outcome.events("first") == {"up": "ok", "down": "ok"}
    assert outcome.events("second") == {"up": "ok", "down": "skipped"}
    assert outcome.events("elsewhere") == {"up": "ok", "down": "ok"}
    assert outcome.events("third") == {"up": "ok", "down": "skipped"}
    assert outcome.results("second", "down")[0]["skip_reason"] == "down did not answer earlier in this run"
    assert [record["task"] for record in site.records("down")] == ["first", "elsewhere"]
    assert len(site.records("up")) == 4


def test_a_delegate_that_is_down_does_not_take_the_host_with_it(site):
    site.hosts = {"up": {}, "down": DOWN}
    site.variables["maintenance_on_failure"] = "finding"
    outcome = site.tasks(check("elsewhere") | {"delegate_to": "down"}, check("here"), arguments=["-l", "up"])
    assert outcome.events("here") == {"up": "ok"}
    record = site.records("up")[0]
    assert record["findings"][0]["item"] == "down"
    assert record["findings"][0]["summary"].startswith("down did not answer: ")


def test_become_without_sudo_is_a_clear_finding(site):
    site.variables |= {"maintenance_on_failure": "finding", "ansible_become_exe": "/nowhere/sudo"}
    site.tasks(check() | {"become": True, "become_user": "nobody"})
    record = site.records()[0]
    assert record["status"] == "unknown"
    assert "/nowhere/sudo" in record["fault"]


def test_outside_its_window_a_repair_is_skipped_and_check_mode_is_not(site):
    site.variables["maintenance_windows"] = SHUT
    target = site.folder / "made"
    outcome = site.tasks(repair(files=[str(target)]))
    assert outcome.returncode == 0
    assert outcome.events("repair") == {"localhost": "skipped"}
    result = outcome.results("repair")[0]
    assert re.match(r"outside every maintenance window; later opens \w{3} [-\d]+ [:\d]+ UTC$", result["skip_reason"])
    assert not target.exists()
    record = site.records()[0]
    assert (record["status"], record["findings"][0]["check"]) == ("skipped", "maintenance.window")

    outcome = site.tasks(repair(files=[str(target)]), arguments=["--check"])
    assert outcome.results("repair")[0]["changed"] is True
    assert site.records()[0]["plan"][0]["target"] == str(target)
    assert not target.exists()


def test_inside_its_window_a_repair_gets_the_end_as_its_deadline(site):
    site.variables["maintenance_windows"] = OPEN
    files = [str(site.folder / "made")]
    outcome = site.tasks(
        repair("ours", files=files),
        repair("own", files=files, deadline="2020-01-01T00:00:00Z"),
        repair("late", files=files, deadline="2999-01-01T00:00:00Z"),
        repair("wrong", files=files, deadline="soon") | {"ignore_errors": True},
    )
    ours = outcome.results("ours")[0]
    assert ours["applied"][0]["target"] == files[0]
    end = ours["deadline_given"]
    assert end[11:16] == OPEN[0]["end"]
    window = site.records()[0]["window"]
    assert (window["name"], window["ends"]) == ("now", end)
    assert window["reason"].startswith("window now is open until ")
    assert outcome.results("own")[0]["deadline_given"] == "2020-01-01T00:00:00.000Z"
    assert outcome.results("late")[0]["deadline_given"] == end
    assert "Option 'deadline' is 'soon'" in outcome.results("wrong")[0]["msg"]


def test_an_override_opens_and_is_recorded_and_a_freeze_cuts(site):
    site.variables["maintenance_windows"] = SHUT
    files = [str(site.folder / "made")]
    site.tasks(repair(files=files), arguments=["-e", '{"maintenance_override": {"reason": "fire", "by": "me"}}'])
    assert site.records()[0]["override"] == {"reason": "fire", "by": "me"}
    assert site.records()[0]["applied"]
    site.variables["maintenance_freezes"] = [
        {"from": f"{datetime.now(UTC):%Y-%m-%d}", "to": "2999-01-01", "reason": "{{ 'ex' ~ 'ams' }}"}
    ]
    outcome = site.tasks(repair(files=files))
    assert outcome.results("repair")[0]["skip_reason"].endswith(": exams")


def test_check_and_real_run_agree_and_the_second_plans_nothing(site):
    files = [str(site.folder / name) for name in "ab"]
    results = [
        site.tasks(repair(files=files), arguments=arguments).results("repair")[0]
        for arguments in (["--check"], [], ["--check"], [])
    ]
    assert [result["changed"] for result in results] == [True, True, False, False]
    assert results[0]["plan"] == results[1]["plan"]


HOSTILE = "{{ 7*7 }} <script>alert(1)</script> \x1b[31mred\x1b]0;title\x07 \u202etxt password=hunter2"


def test_hostile_text_is_never_templated_and_reaches_journal_and_console_clean(site):
    raw = {
        "changed": False,
        "findings": [
            {
                "check": "host.memory", "item": HOSTILE, "status": "warning", "summary": HOSTILE + "x" * 10_000_000,
                "evidence": [HOSTILE] * 500, "remedy": HOSTILE, "value": True, "unit": HOSTILE, "extra": HOSTILE,
            }
        ],
        "metrics": [{"name": HOSTILE, "item": HOSTILE, "value": 1, "unit": ""}, {"name": "x", "value": "NaN"}],
        "discovered": {HOSTILE: [HOSTILE, {"deep": [[[[[[[[[["x"]]]]]]]]]]}], "many": list(range(20_000))},
    }  # fmt: skip
    script = site.folder / "raw.json"
    script.write_text(json.dumps(raw))
    site.environment |= {"ANSIBLE_STDOUT_CALLBACK": "fleetcare.maintenance.console", "COLUMNS": "120"}
    outcome = site.tasks(
        check("hostile", raw_from=str(script)) | {"register": "hostile"},
        task("shown", DEBUG, {"msg": "{{ hostile.findings[0].summary }}"}),
    )
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    record = site.records()[0]
    finding = record["findings"][0]
    text = json.dumps(record)
    assert finding["item"] == "{{ 7*7 }} <script>alert(1)</script> red  txt password=***"
    assert len(finding["summary"]) == 400
    assert len(finding["evidence"]) == 20
    assert "value" not in finding
    assert "extra" not in finding
    assert len(record["metrics"]) == 1
    assert len(text) < 100_000
    assert "hunter2" not in text
    for seen in (text, outcome.stdout):
        assert "\x1b" not in seen
        assert "\\u001b" not in seen
        assert "\u202e" not in seen
        assert "{{ 7*7 }}" in seen
    assert outcome.results("shown")[0]["msg"].startswith("{{ 7*7 }}")
    assert site.problems() == []


def test_hostile_names_in_the_inventory_stay_in_the_journals_folder(site):
    names = ["../../x", "..", "a b", "x" * 300]
    site.hosts = {name: {} for name in names}
    outcome = site.tasks(check())
    assert outcome.returncode == 0, outcome.stdout
    files = list((site.journal / site.runs()[0]).glob("*.jsonl"))
    assert len(files) == len(names)
    assert site.problems() == []
    assert not list(site.folder.glob("x*"))


def test_what_comes_after_the_run_was_closed_begins_another_one(site):
    close = (
        "from pathlib import Path; from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal; "
        f"place = Path({str(site.journal)!r}); journal.close(place, journal.runs(place)[-1])"
    )
    site.environment["PYTHONPATH"] = str(site.collections)
    outcome = site.tasks(
        check("before"),
        task("close", "ansible.builtin.command", {"argv": ["{{ ansible_python_interpreter }}", "-c", close]}),
        check("after"),
        check("later"),
    )
    assert outcome.returncode == 0, outcome.stdout
    assert sorted(len(site.records(run=number)) for number in (0, 1)) == [1, 2]
    assert site.problems() == []


def test_memory_goes_on_from_what_the_journal_has_on_record(site):
    """Nothing that a log says is lost when the record of a run never reached the journal, and nothing told twice."""
    log = site.folder / "log"
    look = check(log=str(log))

    def told():
        outcome = site.tasks(look)
        return findings(outcome.results("look")[0]).get("host.lines", {}).get("evidence", [])

    log.write_text("one\n")
    assert told() == ["one"]
    log.write_text("one\ntwo\n")
    assert told() == ["two"]
    log.write_text("one\ntwo\nthree\n")
    # The module ran and kept its state, and then the journal could not take the record.
    acknowledged = next((site.journal / "acknowledged").glob("*.jsonl"))
    before = acknowledged.read_bytes()
    assert told() == ["three"]
    acknowledged.write_bytes(before)
    log.write_text("one\ntwo\nthree\nfour\n")
    assert told() == ["three", "four"]
    assert told() == []
    # Check mode neither keeps nor acknowledges.
    log.write_text("one\ntwo\nthree\nfour\nfive\n")
    site.tasks(look, arguments=["--check"])
    assert told() == ["five"]


def test_two_inventory_names_of_one_machine_keep_their_own_memory(site):
    site.hosts = {"one": {}, "two": {}}
    log = site.folder / "log"
    log.write_text("line\n")
    for _round in range(2):
        outcome = site.tasks(check(log=str(log)))
    assert [findings(outcome.results("look", host)[0])["host.lines"].get("evidence") for host in site.hosts] == [
        None,
        None,
    ]
    assert len(list((site.folder / "state").glob("host_check.*"))) == 2


def test_a_timeout_of_the_task_leaves_a_record(site):
    outcome = site.tasks(check(wait_for=str(site.folder / "never")) | {"timeout": 1})
    assert outcome.events("look") == {"localhost": "failed"}
    assert site.records()[0]["fault"] == "the task's timeout of 1 s passed"


def test_a_module_is_packed_once_and_not_again_in_the_next_run(site):
    packing = "Including module_utils file"
    first = site.tasks(check(value=1), arguments=["-vvvvv"])
    second = site.tasks(check(value=1), arguments=["-vvvvv"])

    assert first.stdout.count(packing) > 10
    assert second.stdout.count(packing) == 0
    assert [outcome.results("look")[0]["status"] for outcome in (first, second)] == ["ok", "ok"]


@pytest.mark.parametrize("interpreter", ["/usr/bin/no-such-python", "{folder}/shim"])
def test_a_python_that_does_not_start_is_told_with_the_shell_s_first_word(site, interpreter):
    shim = site.folder / "shim"
    shim.write_text("#!/bin/sh\necho 'shim: python9: command not found' >&2\necho 'There are others.' >&2\nexit 127\n")
    shim.chmod(0o755)
    site.variables |= {"ansible_python_interpreter": interpreter.format(folder=site.folder)}
    (result,) = site.tasks(check(value=10)).results("look")
    assert re.match(
        r"Python did not start on the host \(.*not found.*\)\. Set ansible_python_interpreter", result["msg"]
    )
    assert "There are others" not in result["msg"]


def test_a_module_that_breaks_is_told_with_what_it_broke_at(site):
    outcome = site.tasks(check(crash="no such luck"), vars={"maintenance_on_failure": "finding"})
    result = outcome.results("look")[0]

    assert result["findings"][0]["check"] == "maintenance.fault"
    assert "no such luck" in result["findings"][0]["summary"]
