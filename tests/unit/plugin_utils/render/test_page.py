# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Change
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render import page
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Checklist
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.page import HtmlReport, describe, facts
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.spark import sparkline, stacked
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, DAY, finding, view
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.render.test_forms import (
    CADENCES,
    NASTY,
    RUN,
    nasty_view,
)

VOID = {"meta", "input", "br", "link", "img", "circle", "line", "polyline", "rect"}


class Reader(HTMLParser):
    """Keeps the elements, and holds that every one is closed in order."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def draw(tmp_path, *views, detail_hosts=100, trends=None, notes=()):
    fleet, checklist = Fleet(RUN), Checklist("daily")
    by_host = {seen.host: seen for seen in views}
    report = HtmlReport(
        tmp_path / "report.html",
        RUN,
        detail=lambda host: (by_host[host], trends or {}),
        detail_hosts=detail_hosts,
        zone=ZoneInfo("Europe/Berlin"),
    )
    for seen in views:
        fleet.add(seen)
        checklist.add(seen)
    fleet.sort()
    report.end(fleet, checklist.boxes(), CADENCES, notes)
    for each in report.pages:
        each.publish()
    report.file.publish()
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_hostile_text_stays_text(tmp_path):
    reader = read(draw(tmp_path, nasty_view(), notes=[NASTY]))
    assert [tag for tag, _attributes in reader.elements if tag == "script"] == ["script"]
    assert NASTY in "".join(reader.text)
    names = {name for _tag, attributes in reader.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]


def test_nothing_comes_from_elsewhere(tmp_path):
    reader = read(draw(tmp_path, nasty_view()))
    loading = [attributes for _tag, attributes in reader.elements if {"src", "srcset", "action"} & set(attributes)]
    assert loading == []
    links = [attributes["href"] for tag, attributes in reader.elements if "href" in attributes]
    assert links
    assert all(link.startswith("#") for link in links)


def test_the_policy_allows_our_style_and_script_by_hash_and_nothing_else(tmp_path):
    html = draw(tmp_path, nasty_view())
    policy = next(attributes["content"] for tag, attributes in read(html).elements if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (inner,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_links_lead_somewhere(tmp_path):
    reader = read(draw(tmp_path, nasty_view(), view(finding(status="warning"), host="db-1")))
    ids = {attributes["id"] for _tag, attributes in reader.elements if "id" in attributes}
    assert {attributes["href"][1:] for _tag, attributes in reader.elements if "href" in attributes} <= ids


def test_worst_host_stands_first(tmp_path):
    html = draw(
        tmp_path,
        view(finding(), host="fine"),
        view(finding(status="critical"), host="bad"),
        view(finding(status="unknown"), host="dark"),
    )
    assert re.findall(r'<span class="name">(.*?)</span>', html) == ["bad", "dark", "fine"]


def test_a_finding_shows_what_a_person_needs(tmp_path):
    seen = view(
        finding(status="critical", evidence=["proof"], remedy="do this", owners=["ops"], value=97, unit="%"),
    )
    seen.entries[0].change = Change("worse", AT - DAY, "warning")
    trends = {seen.entries[0].key: [(AT - 2 * DAY, 80.0), (AT - DAY, 90.0), (AT, 97.0)]}
    text = " ".join(read(html := draw(tmp_path, seen, trends=trends)).text)
    for told in ("proof", "do this", "ops", "worse", "before that warning", "2026-03-01 03:00 CET", "now 97 %"):
        assert told in text, told
    assert "<polyline" in html


def test_what_was_skipped_for_one_reason_is_one_row_with_its_checks_and_hosts(tmp_path):
    def unread(host):
        missing = {"status": "skipped", "summary": "there is no journal", "remedy": "Run with become."}
        return view(
            finding("logs.auth_spray", "a", **missing), finding("logs.auth_spray", "b", **missing),
            finding("host.units", **missing), finding("host.thin_pool", status="skipped"), host=host,
        )  # fmt: skip

    html = draw(tmp_path, *(unread(f"web-{number}") for number in range(1, 8)))
    (skipped,) = re.findall(r'<section id="skipped">.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    rows = [" ".join(read(row).text).split() for row in re.findall("<tr>.*?</tr>", skipped)]
    assert " ".join(rows[0]) == (
        "21 there is no journal web-1, web-2, web-3, web-4, web-5 and 2 more Run with become. host.units logs.auth_spray"
    )
    assert [row[0] for row in rows] == ["21", "7"]


def test_repairs_are_shown_with_before_and_after(tmp_path):
    step = {"action": "vacuum", "target": "public.t"}
    seen = view(
        finding(),
        kind="repair",
        applied=[{**step, "before": {"dead": 9}, "after": {"dead": 0}}],
        failures=[{**step, "error": "lock"}],
        kept=[{"target": "public.u", "reason": "small"}],
    )
    text = " ".join(read(draw(tmp_path, seen)).text)
    for told in ("done", "dead 9", "dead 0", "failed", "lock", "left alone", "small"):
        assert told in text, told


def test_check_mode_says_so_and_lists_the_plan(tmp_path):
    seen = view(
        finding(), kind="repair", check_mode=True, plan=[{"action": "prune", "target": "x", "reason": "31 d old"}]
    )
    text = " ".join(read(draw(tmp_path, seen)).text)
    assert "would do" in text
    assert "31 d old" in text


def test_a_fleet_past_the_budget_goes_on_beside(tmp_path):
    bad = [view(finding(status="critical"), host=f"bad-{number}") for number in range(7)]
    fine = [view(finding(), host=f"fine-{number}") for number in range(3)]
    html = draw(tmp_path, *fine, *bad, detail_hosts=3)
    assert html.count('<details class="hostbox') == 3
    assert sorted(path.name for path in tmp_path.glob("hosts-*")) == ["hosts-002.html", "hosts-003.html"]
    assert 'href="hosts-003.html#h7"' in html
    assert "fine-0, fine-1, fine-2" in html
    for path in tmp_path.glob("hosts-*"):
        reader = read(path.read_text(encoding="utf-8"))
        assert ("a", {"href": "report.html"}) in reader.elements
    assert 'id="h7"' in (tmp_path / "hosts-003.html").read_text(encoding="utf-8")


def test_a_fault_on_an_otherwise_calm_host_is_not_lost_past_the_budget(tmp_path):
    calm = [view(finding(), host=f"calm-{number}") for number in range(3)]
    html = draw(tmp_path, *calm, view(finding(), host="faulty", fault="no library"), detail_hosts=1)
    assert re.findall(r'<span class="name">(.*?)</span>', html) == ["faulty"]


def test_a_page_is_cut_by_size_too(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE_CHARACTERS", 100)
    draw(tmp_path, *(view(finding(status="critical"), host=f"bad-{number}") for number in range(3)))
    assert len(list(tmp_path.glob("hosts-*"))) == 2


def test_details_can_all_be_kept_off_the_first_page(tmp_path):
    html = draw(tmp_path, *(view(finding(status="critical"), host=f"bad-{n}") for n in range(3)), detail_hosts=0)
    assert '<details class="hostbox' not in html
    assert [path.name for path in tmp_path.glob("hosts-*")] == ["hosts-002.html"]


def test_addresses_of_several_hosts_have_their_place(tmp_path):
    told = [{"address": "203.0.113.9", "failures": 2, "blocked": 1}]
    hosts = [view(finding(), host=f"web-{number}", sources=told) for number in range(7)]
    html = draw(tmp_path, *hosts)
    assert "Addresses seen on several hosts" in html
    assert 'href="#crossings"' in html
    assert "web-0, web-1, web-2, web-3, web-4 and 2 more" in html
    assert "Addresses seen" not in draw(tmp_path, *hosts[:2])


def test_no_host_at_all(tmp_path):
    assert "No host was looked at." in draw(tmp_path)


def test_what_is_wrong_with_the_report_is_on_it(tmp_path):
    assert "The history cannot be opened" in draw(tmp_path, view(finding()), notes=["The history cannot be opened"])


def test_describe_and_facts():
    fleet = Fleet(RUN)
    fleet.add(view(finding(status="critical"), finding(item="b")))
    assert describe(fleet.rows[0]) == "1 critical, 1 ok"
    assert facts({"size": 3, "name": "x"}) == "size 3, name x"
    assert facts(None) == ""


@given(
    st.lists(st.tuples(st.integers(0, 10**10), st.floats(-1e12, 1e12)), max_size=40).map(sorted),
    st.dictionaries(st.sampled_from(["info", "warning", "critical"]), st.floats(-1e12, 1e12)),
)
def test_a_plot_stays_within_its_frame(points, levels):
    drawn = str(sparkline(points, levels, unit="<b>"))
    assert "<b>" not in drawn
    if len(points) < 3:
        assert drawn == ""
        return
    (path,) = re.findall(r'points="(.*?)"', drawn)
    for x, y in re.findall(r"([0-9.e+-]+),([0-9.e+-]+)", path):
        assert 0 <= float(x) <= 120
        assert 0 <= float(y) <= 26


@pytest.mark.parametrize("amounts", [[], [("ok", 0)], [("critical", 1), ("ok", 100000)]])
def test_a_bar_shows_even_the_smallest_part(amounts):
    drawn = str(stacked(amounts))
    assert drawn.count("<rect") == len([amount for _status, amount in amounts if amount])
