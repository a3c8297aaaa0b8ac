# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest

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
