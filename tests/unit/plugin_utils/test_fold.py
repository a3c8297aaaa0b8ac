# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import fold as folding
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import fold, line, without_record
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.journal import JournalError
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import finding, record, view

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("module", "kind", "findings", "metrics", "plan", "applied", "failures", "kept", "window", "override", "fault")
FINDING = (
    "check",
    "item",
    "status",
    "summary",
    "value",
    "unit",
    "levels",
    "evidence",
    "remedy",
    "owners",
    "suppressed",
)


def test_later_answer_to_the_same_question_stands():
    seen = fold("a", [record(finding(status="critical")), record(finding(status="ok"), module="service_recover")])
    assert [(entry.status, entry.module) for entry in seen.entries] == [("ok", "service_recover")]
    assert seen.status == "ok"


@pytest.mark.parametrize("statuses", [("critical", "ok"), ("ok", "critical")])
def test_of_two_answers_in_one_record_the_worse_stands(statuses):
    seen = fold("a", [record(*(finding(status=status) for status in statuses))])
    assert [entry.status for entry in seen.entries] == ["critical"]
    assert seen.status == "critical"


def test_worst_stands_first_and_suppressed_does_not_alarm():
    known = {"owner": "ops", "reason": "known", "until": "2026-12-31"}
    seen = view(
        finding(item="a"), finding(item="b", status="critical", suppressed=known), finding(item="c", status="warning")
    )
    assert [entry.item for entry in seen.entries] == ["c", "b", "a"]
    assert seen.status == "warning"
    assert seen.counts() == {"warning": 1, "suppressed": 1, "ok": 1}


def test_a_host_whose_every_finding_is_suppressed_is_not_ok():
    known = {"owner": "ops", "reason": "known", "until": "2026-12-31"}
    assert view(finding(status="critical", suppressed=known)).status == "skipped"


def test_unknown_status_is_unknown_and_says_so():
    (entry,) = view(finding(status="fine, trust me")).entries
    assert entry.status == "unknown"
    assert "fine, trust me" in entry.summary


def test_nothing_recorded_is_unknown():
    seen = without_record("lost")
    assert (seen.status, seen.recorded) == ("unknown", False)
    assert "no record" in seen.entries[0].summary


def test_a_host_with_records_but_no_findings_is_a_fault():
    assert fold("a", []).faults


def test_a_host_without_anything_that_the_cadence_looks_after_is_skipped_and_no_fault():
    seen = fold("a", [record(module="discover")])
    assert (seen.faults, seen.status) == ([], "skipped")
    (entry,) = seen.entries
    assert (entry.check, entry.item, entry.module) == ("maintenance.subjects", "a", "discover")
    assert fold("a", [record(module="discover"), record(module="host_check")]).faults
    assert fold("a", [record(module="discover", fault="broken")]).faults == ["discover: broken"]


def test_a_broken_line_is_a_fault_and_what_came_before_is_kept():
    def records():
        yield record(finding(status="warning"))
        raise JournalError("The journal is damaged.")

    seen = fold("a", records())
    assert seen.status == "warning"
    assert "cannot be read on" in seen.faults[0]


def test_only_modules_without_fault_have_answered():
    seen = fold(
        "a",
        [
            record(finding()),
            record(module="npm_check", fault="no library"),
            record(module="http_check", unreachable=True),
        ],
    )
    assert seen.answered == {"host_check"}
    assert seen.faults == ["npm_check: no library"]
    assert seen.unreachable


def test_repairs_keep_their_steps():
    step = {"action": "vacuum", "target": "public.t"}
    seen = fold(
        "a",
        [
            record(
                finding(),
                kind="repair",
                module="postgresql_vacuum",
                plan=[{**step, "reason": "31 % dead"}],
                applied=[{**step, "before": {"dead": 9}, "after": {"dead": 0}, "seconds": 1.0}],
                window={"name": "night", "ends": ""},
                override={"reason": "fire", "by": "ops"},
            )
        ],
    )
    (repair,) = seen.repairs
    assert repair.applied[0]["before"] == {"dead": 9}
    assert (repair.window, repair.override) == ("night", "fire (ops)")


def test_a_flood_of_findings_is_cut_and_told(monkeypatch):
    monkeypatch.setattr(folding, "MAX_FINDINGS", 3)
    seen = view(*(finding(item=str(number)) for number in range(9)))
    assert len(seen.entries) == 3
    assert "left out" in seen.faults[0]


def test_line_leaves_plain_text_and_cleans_the_rest():
    plain = "plain – text"
    assert line(plain) is plain
    assert line("a\x1b[31mb\u202e") == "ab"
    assert line(None) == ""
    assert line(7) == "7"
    assert len(line("x" * 5000)) == 300


@given(
    st.lists(
        st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6)
        | st.builds(
            lambda each: {"module": "m", "findings": each},
            st.lists(st.dictionaries(st.sampled_from(FINDING), JSON, max_size=8), max_size=3),
        ),
        max_size=3,
    )
)
def test_whatever_a_journal_holds_becomes_a_view_of_clean_text(records):
    seen = fold("a", records)
    assert seen.status in RANK
    for entry in seen.entries:
        texts = (entry.check, entry.item, entry.summary, entry.remedy, entry.unit, *entry.evidence, *entry.owners)
        assert all(isinstance(text, str) and "\x1b" not in text and "\n" not in text for text in texts)
    json.dumps(seen.counts())
