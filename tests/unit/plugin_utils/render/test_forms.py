# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every form of the report, fed with text that means something in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import without_record
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render import document
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Checklist
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.document import JsonReport
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.junit import JunitReport, legal
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.markdown import MarkdownReport, literal
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.prometheus import PrometheusReport, label
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, finding, record, view

RUN = RunInfo("20260302T020000Z-00000001", "daily", AT, "2026-03-02T02:00:00Z", "controller", False, ("web-1", "db-1"))
SCHEMA = json.loads((Path(document.__file__).parent / "schema" / "report-1.json").read_text(encoding="utf-8"))
CADENCES = [
    {
        "cadence": "weekly",
        "late": True,
        "age_seconds": 900000,
        "interval_seconds": 604800,
        "hosts": 2,
        "missed": 1,
        "summary": "last ran 10 d 10 h ago",
    }
]
NASTY = '"><script>alert(1)</script> {{ 7*7 }} | `x` \\ ]]> & \u00e9 \U0001f600 [a](javascript:b) http://evil.example'
KNOWN = {"owner": "ops", "reason": NASTY, "until": "2026-12-31T00:00:00.000Z"}


def nasty_view():
    step = {"action": NASTY, "target": NASTY}
    return view(
        finding(item=NASTY, status="critical", evidence=[NASTY], remedy=NASTY, owners=[NASTY], value=1.5, unit="%"),
        finding(item="b", status="warning", levels={"warning": 1, "critical": 2, "direction": "upper", "for": 3}),
        finding(item="c", status="critical", suppressed=KNOWN),
        finding(item="d", status="skipped"),
        finding(item="e", status="unknown"),
        finding(item="f", status="ok", value=3, unit="B"),
        host=NASTY,
        kind="repair",
        plan=[{**step, "reason": NASTY, "estimate": {NASTY: NASTY}}],
        applied=[{**step, "before": {"a": 1}, "after": {"a": NASTY}, "seconds": 1}],
        failures=[{**step, "error": NASTY}],
        kept=[{"target": NASTY, "reason": NASTY}],
    )


def crossed():
    """Four hosts that one address knocked at."""
    told = [{"address": "203.0.113.9", "failures": 2, "blocked": 1}]
    return [view(finding(), host=f"web-{number}", sources=told) for number in range(4)]


def draw(maker, path, *views, run=RUN):
    fleet, checklist = Fleet(run), Checklist("daily")
    report = maker(path, run)
    for seen in views:
        fleet.add(seen)
        checklist.add(seen)
        report.add(seen)
    fleet.sort()
    report.end(fleet, checklist.boxes(), CADENCES)
    report.file.publish()
    return path.read_text(encoding="utf-8")


def test_json_is_what_the_schema_says(tmp_path):
    faulty = view(finding(), host="db-1", fault="no library")
    text = draw(JsonReport, tmp_path / "report.json", nasty_view(), faulty, without_record("lost"))
    report = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(report, SCHEMA)
    assert [host["host"] for host in report["hosts"]] == [NASTY, "db-1", "lost"]
    assert report["counts"]["findings"]["suppressed"] == 1
    assert report["counts"]["faults"] == 1
    assert report["status"] == "critical"
    assert len(text.splitlines()) == 5


def test_addresses_of_several_hosts_are_told(tmp_path):
    report = json.loads(draw(JsonReport, tmp_path / "r.json", *crossed()))
    jsonschema.validate(report, SCHEMA)
    (crossing,) = report["crossings"]
    assert (crossing["address"], crossing["hosts"], crossing["failures"], crossing["blocked"]) == (
        "203.0.113.9",
        4,
        8,
        4,
    )
    text = draw(MarkdownReport, tmp_path / "r.md", *crossed())
    assert "## Addresses seen on 3 hosts or more" in text
    assert "| 203.0.113.9 | 4 | 8 | 4 | 0 | web-0, web-1, web-2, web-3 |" in text
    assert "Addresses seen" not in draw(MarkdownReport, tmp_path / "r2.md", *crossed()[:2])


def test_json_of_no_host_at_all_is_whole(tmp_path):
    report = json.loads(draw(JsonReport, tmp_path / "report.json"))
    jsonschema.validate(report, SCHEMA)
    assert (report["hosts"], report["status"]) == ([], "skipped")


def test_junit_counts_what_it_holds(tmp_path):
    text = draw(JunitReport, tmp_path / "report.xml", nasty_view())
    (suite,) = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert suite.attrib["name"] == NASTY
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "2",
        "errors": "1",
        "skipped": "2",
    }
    outcomes = [case[0].tag for case in suite if len(case)]
    assert sorted(outcomes) == ["error", "failure", "failure", "skipped", "skipped"]


@given(st.text())
def test_junit_text_is_legal_whatever_it_was(text):
    assert ElementTree.fromstring(f"<a>{legal(text).replace('&', '').replace('<', '')}</a>") is not None  # noqa: S314


SAMPLE = re.compile(r'^[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\} -?[0-9][0-9.e+-]*$')


def test_prometheus_is_the_exposition_format(tmp_path):
    path = tmp_path / "report.prom"
    text = draw(PrometheusReport, path, nasty_view(), view(finding(), host="db-1"))
    family, seen = "", set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen, "samples of a family stand together"
            seen.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [family, "gauge"]
        else:
            assert SAMPLE.match(line), line
            assert line.startswith(family + "{")
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert len({line.rsplit(" ", 1)[0] for line in samples}) == len(samples)
    assert path.stat().st_mode & 0o777 == 0o644


def test_prometheus_states_the_mapping_and_suppressed_does_not_alarm(tmp_path):
    seen = view(finding(item="a", status="critical"), finding(item="b", status="critical", suppressed=KNOWN))
    text = draw(PrometheusReport, tmp_path / "report.prom", seen)
    assert "0 ok, 1 skipped, 2 info, 3 warning, 4 unknown, 5 critical" in text
    assert 'maintenance_check_status{host="web-1",cadence="daily",check="host.memory",item="a"} 5\n' in text
    assert 'maintenance_check_status{host="web-1",cadence="daily",check="host.memory",item="b"} 1\n' in text
    assert f'maintenance_run_timestamp_seconds{{cadence="daily"}} {AT}\n' in text
    assert 'maintenance_cadence_age_seconds{cadence="weekly",report="daily"} 900000\n' in text


@given(st.text())
def test_a_label_value_stays_in_its_quotes(text):
    assert re.fullmatch(r'(?:[^"\\\n]|\\[\\"n])*', label(text))


def test_markdown_ticks_by_evidence_and_shows_text_as_it_is(tmp_path):
    text = draw(MarkdownReport, tmp_path / "report.md", nasty_view())
    assert "- [ ] Monitor disk space (not looked at in this run: host.disk_bytes)" in text
    assert "<script>" not in text
    assert "**The weekly run is late**" in text
    rows = [line for line in text.splitlines() if line.startswith("| critical")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 7


SIGNS = (
    st.text(alphabet="\\`*_{}[]<>()#+-.!|~&$@:;'\"=/^ ab1\u00e9", min_size=1, max_size=30).map(str.strip).filter(bool)
)


@given(SIGNS)
@example("[a](b)").via("a link")
@example("![a](b) ***a*** _a_ a_b __c__ <b> `x` a|b ~~a~~ &amp; \\")
def test_markdown_shows_text_as_it_is(raw):
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text = literal(raw).replace("\u200b", "")
    for source in (f"- [x] Box ({text})\n", f"| a | b |\n|---|---|\n| c | {text} |\n"):
        inline = [token for token in parser.parse(source) if token.type == "inline"][-1]
        assert {child.type for child in inline.children} == {"text"}, source
        shown = "".join(child.content for child in inline.children)
        assert shown.removeprefix("[x] Box (").removesuffix(")" if source[0] == "-" else "") == raw


def test_markdown_says_what_kind_of_run_it_was(tmp_path):
    seen = view(
        finding(), finding(item="swap", status="skipped"), finding(item="x", status="critical", suppressed=KNOWN)
    )
    text = draw(MarkdownReport, tmp_path / "report.md", seen, run=replace(RUN, check_mode=True, limit="one"))
    assert "Limited to one. Check mode: nothing was changed. Findings: 1 skipped, 1 ok, 1 suppressed.\n" in text


def test_markdown_addresses_are_not_clickable():
    assert "http://" not in literal("http://evil.example")
    assert "www." not in literal("www.evil.example")


def test_a_ticked_box(tmp_path):
    seen = view(finding("host.disk_bytes", "/"), finding("host.disk_inodes", "/", "info"))
    assert "- [x] Monitor disk space (2 findings fine)" in draw(MarkdownReport, tmp_path / "report.md", seen)


def test_records_are_taken_in_as_they_come():
    assert view(finding(), host="a").last_time == record()["time"]
