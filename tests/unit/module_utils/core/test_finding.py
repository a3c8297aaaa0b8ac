# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings, metrics and how statuses add up."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import (
    MAX_EVIDENCE,
    STATUSES,
    Finding,
    Metric,
    tally,
    worst,
)

STATUS = st.sampled_from(STATUSES)


def test_the_worst_of_nothing_is_skipped_and_not_ok():
    assert worst([]) == "skipped"
    assert worst(["ok", "skipped"]) == "skipped"
    assert worst(["warning", "unknown", "info"]) == "unknown"
    assert worst(["unknown", "critical"]) == "critical"


@given(st.lists(STATUS), st.lists(STATUS, min_size=1))
def test_the_worst_of_two_lists_is_the_worst_of_their_worsts(one, other):
    assert worst(one + other) == worst(([worst(one)] if one else []) + [worst(other)])


def test_a_finding_without_measurement_has_no_value_and_no_unit():
    plain = Finding(check="a.b", item="x", status="ok", summary="fine", unit="%").as_dict()
    assert plain == {"check": "a.b", "item": "x", "status": "ok", "summary": "fine"}


def test_zero_is_a_measurement():
    assert Finding(check="a.b", item="x", status="ok", summary="s", value=0, unit="%").as_dict()["value"] == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_left_out(value):
    plain = Finding(check="a.b", item="x", status="unknown", summary="s", value=value).as_dict()
    assert "value" not in plain
    json.dumps(plain, allow_nan=False)


def test_a_status_that_does_not_exist_is_a_fault():
    with pytest.raises(ValueError, match="'fine'"):
        Finding(check="a.b", item="x", status="fine", summary="s")


def test_text_from_a_host_is_cleaned_wherever_it_stands():
    hostile = "\x1b]0;owned\x07\x1b[31mred\r\nnext password=hunter2"
    finding = Finding(check="a.b", item=hostile, status="ok", summary=hostile, evidence=(hostile,), remedy=hostile)
    for text in (finding.item, finding.summary, finding.remedy, *finding.evidence):
        assert text == "red next password=***"
    assert Metric("a.b", hostile, 1).as_dict()["item"] == "red next password=***"


@given(st.integers(0, 60))
def test_evidence_is_cut_to_twenty_items_and_says_how_many_are_left(amount):
    finding = Finding(check="a.b", item="x", status="ok", summary="s", evidence=tuple(map(str, range(amount))))
    assert len(finding.evidence) == min(amount, MAX_EVIDENCE)
    if amount > MAX_EVIDENCE:
        assert finding.evidence[-1] == f"and {amount - MAX_EVIDENCE + 1} more"


def test_the_tally_names_the_worst_first():
    assert tally(["ok", "critical", "ok", "skipped"]) == "4 findings: 1 critical, 1 skipped, 2 ok"
    assert tally(["ok"]) == "1 finding: 1 ok"
    assert tally([]) == "nothing was looked at"
