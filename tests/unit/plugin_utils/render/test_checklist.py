# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import fold, without_record
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import BOXES, Box, Checklist
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import finding, view

BOX = Box("Guide", "daily", "Check disks", (("host.disk_bytes",), ("host.disk_inodes", "host.inodes")))
KNOWN = {"owner": "ops", "reason": "known", "until": "2026-12-31"}


def tick(*findings):
    checklist = Checklist("daily", (BOX,))
    checklist.add(view(*findings))
    (ticked,) = checklist.boxes()
    return ticked


def disk(status, item="/", **more):
    return finding("host.disk_bytes", item, status, **more)


INODES = finding("host.disk_inodes", "/")


def test_done_when_every_need_is_fine():
    ticked = tick(disk("ok"), disk("info", "/var"), INODES)
    assert (ticked.state, ticked.mark, ticked.why) == ("done", "x", "3 findings fine")


def test_an_alternative_meets_the_need():
    assert tick(disk("ok"), finding("host.inodes", "/")).state == "done"


@pytest.mark.parametrize("status", ["warning", "unknown", "critical"])
def test_failed_names_what_stands_in_the_way(status):
    ticked = tick(disk("ok"), disk(status, "/var"), INODES)
    assert (ticked.state, ticked.mark) == ("failed", " ")
    assert f"1 {status}, such as web-1: host.disk_bytes /var" in ticked.why


def test_not_looked_at_is_not_done():
    ticked = tick(disk("ok"))
    assert (ticked.state, ticked.mark) == ("not looked at", " ")
    assert "host.disk_inodes or host.inodes" in ticked.why


def test_skipped_is_not_done_and_says_why():
    ticked = tick(disk("skipped"), INODES)
    assert (ticked.state, ticked.mark) == ("skipped", " ")
    assert "host.disk_bytes / is skipped" in ticked.why


def test_suppressed_alone_is_not_done():
    assert tick(disk("critical", suppressed=KNOWN), INODES).state == "skipped"


def test_what_was_skipped_beside_something_fine_is_told():
    assert tick(disk("ok"), disk("skipped", "/nfs"), INODES).why == "2 findings fine; 1 skipped"


FAULT = finding("maintenance.fault", "host_check", "unknown")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (view(finding("maintenance.reachable", "web-2", "critical"), host="web-2"), "1 critical, such as web-2"),
        (without_record("web-2"), "1 unknown, such as web-2: maintenance.record"),
        (view(FAULT, host="web-2"), "1 unknown, such as web-2: maintenance.fault host_check"),
        (fold("web-2", []), "1 unknown, such as web-2: the records of this host hold no findings"),
    ],
)
def test_what_is_fine_elsewhere_says_nothing_of_a_host_without_an_answer(other, said):
    checklist = Checklist("daily", (BOX,))
    checklist.add(view(disk("ok"), INODES))
    checklist.add(other)
    (ticked,) = checklist.boxes()
    assert (ticked.state, ticked.mark) == ("failed", " ")
    assert said in ticked.why


def test_a_fault_of_another_subject_leaves_the_box_alone():
    assert tick(disk("ok"), INODES, {**FAULT, "item": "http_check"}).state == "done"


def test_a_host_that_is_known_to_be_away_is_told_and_does_not_stand_in_the_way():
    away = finding("maintenance.reachable", "web-1", "critical", suppressed=KNOWN)
    assert tick(disk("ok"), INODES, away).why == "2 findings fine; 1 suppressed"


def test_only_the_boxes_of_the_cadence():
    assert {ticked.box.cadence for ticked in Checklist("weekly").boxes()} == {"weekly"}
    assert len(list(Checklist("").boxes())) == len(BOXES)


def test_the_guides_have_all_their_boxes():
    assert Counter((box.guide, box.cadence) for box in BOXES) == {
        ("Smart Campus", "daily"): 4,
        ("Smart Campus", "weekly"): 4,
        ("Smart Campus", "monthly"): 5,
        ("Smart Campus", "quarterly"): 4,
        ("Smart Library", "daily"): 5,
        ("Smart Library", "weekly"): 6,
        ("Smart Library", "monthly"): 5,
    }
