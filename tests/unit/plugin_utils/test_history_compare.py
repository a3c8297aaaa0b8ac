# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import STATUSES
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.compare import Known, compare, digest
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, finding, view

KEY = ("host.memory", "ram")
SUPPRESSED = {"owner": "ops", "reason": "known", "until": "2026-12-31"}


def known(status="ok", *, suppressed=False, gone=False, module="host_check", since=AT - 100):
    return Known(module, status, suppressed, gone, since)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ("ok", "ok", "unchanged"),
        ("ok", "warning", "new"),
        ("skipped", "info", "new"),
        ("warning", "critical", "worse"),
        ("unknown", "critical", "worse"),
        ("critical", "unknown", "better"),
        ("critical", "warning", "better"),
        ("critical", "ok", "resolved"),
        ("critical", "skipped", "unseen"),
        ("ok", "skipped", "unchanged"),
        ("warning", "warning", "unchanged"),
    ],
)
def test_change_of_a_status(before, now, kind):
    result = compare(view(finding(status=now)), {KEY: known(before)}, at=AT, first=False)
    change = result.changes[KEY]
    assert change.kind == kind
    assert change.since == (AT - 100 if before == now else AT)
    assert bool(result.written) == (before != now)


def test_what_was_never_there_is_new_only_when_it_alarms():
    result = compare(view(finding(status="warning"), finding(item="swap")), {}, at=AT, first=False)
    assert result.changes[KEY].kind == "new"
    assert result.changes["host.memory", "swap"].kind == "unchanged"
    assert len(result.written) == 2


def test_first_run_has_nothing_new():
    result = compare(view(finding(status="critical")), {}, at=AT, first=True)
    assert result.changes[KEY].kind == "first"


def test_a_lapsed_suppression_is_new_and_a_fresh_one_resolves():
    lapsed = compare(view(finding(status="critical")), {KEY: known("critical", suppressed=True)}, at=AT, first=False)
    assert lapsed.changes[KEY].kind == "new"
    fresh = compare(
        view(finding(status="critical", suppressed=SUPPRESSED)), {KEY: known("critical")}, at=AT, first=False
    )
    assert fresh.changes[KEY].kind == "resolved"


def test_gone_needs_an_answer_of_the_module_that_used_to_find_it():
    other = finding(check="web.status", item="/")
    silent = compare(view(other, module="http_check"), {KEY: known("critical")}, at=AT, first=False)
    assert not silent.gone
    answered = compare(view(other), {KEY: known("critical")}, at=AT, first=False)
    assert answered.changes[KEY].kind == "gone"
    assert answered.changes[KEY].before == "critical"
    assert KEY in answered.gone


def test_an_unreachable_host_loses_nothing():
    seen = view(finding(check="maintenance.reachable", item="web-1", status="critical"), unreachable=True)
    result = compare(seen, {KEY: known("critical"), ("host.cpu", "all"): known()}, at=AT, first=False)
    assert not result.gone


def test_reachable_again_whichever_module_found_it_out():
    key = ("maintenance.reachable", "web-1")
    result = compare(view(finding()), {key: known("critical", module="http_check")}, at=AT, first=False)
    assert result.changes[key].kind == "gone"


def test_a_fine_item_that_went_away_is_noted_but_not_told():
    result = compare(view(finding(item="swap")), {KEY: known("ok")}, at=AT, first=False)
    assert result.changes[KEY].kind == "unchanged"
    assert KEY in result.gone


FINDINGS = st.lists(
    st.builds(
        lambda number, status, quiet: finding(
            item=str(number), status=status, **({"suppressed": SUPPRESSED} if quiet else {})
        ),
        st.integers(0, 5),
        st.sampled_from(STATUSES),
        st.booleans(),
    ),
    max_size=6,
)


@given(FINDINGS, FINDINGS)
def test_equal_digests_mean_that_nothing_has_to_be_written(first, second):
    before, now = view(*first), view(*second)
    state = {
        entry.key: Known(entry.module, entry.status, entry.suppressed is not None, False, AT - 100)
        for entry in before.entries
    }
    result = compare(now, state, at=AT, first=False)
    standing = {(entry.key, entry.standing) for entry in before.entries}
    same = standing == {(entry.key, entry.standing) for entry in now.entries}
    assert (digest(before) == digest(now)) == same
    if same:
        assert not result.written
        assert not result.gone


@given(FINDINGS)
def test_every_finding_has_its_change(first):
    seen = view(*first)
    assert set(compare(seen, {}, at=AT, first=False).changes) == {entry.key for entry in seen.entries}
