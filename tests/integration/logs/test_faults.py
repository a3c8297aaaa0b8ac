# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong around a review on real hosts: no room for its state, and others who put something in a log's place."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.logs.hosts import STATE, both, sh

pytestmark = pytest.mark.integration

LOG = "/srv/open/app.log"
FRESH = f"rm -rf /srv/* {STATE}; mkdir -m 0777 /srv/open; echo begun > {LOG}; chown maint: {LOG}"
FULL = f"mkdir -p -m 0700 {STATE}; mount -t tmpfs -o size=64k,mode=0700 tmpfs {STATE}; head -c 1M /dev/zero > {STATE}/full || true"


@pytest.fixture
def fleet(rotating_pair):
    sh(rotating_pair, FRESH)
    return rotating_pair


@pytest.fixture
def controller(rotating_controller):
    return rotating_controller


def review(controller):
    return controller.module("log_review", {"files": [LOG], "first": "start", "checks": ["errors", "readable", "lost"]})


def found(results, check):
    return {
        name: [(one["status"], one["summary"]) for one in result["findings"] if one["check"] == f"logs.{check}"]
        for name, result in results.items()
    }


def events(results):
    """How many events each host told of."""
    return {
        name: next(one["value"] for one in result["metrics"] if one["name"] == "logs.events")
        for name, result in results.items()
    }


def test_without_room_for_its_state_a_review_says_so_and_no_line_is_lost(fleet, controller):
    sh(fleet, f"printf '[error] one\\n[error] two\\n' >> {LOG}")
    sh(fleet, FULL)
    try:
        full = review(controller)
        again = review(controller)
        sh(fleet, f"rm {STATE}/full")
        roomy = review(controller)
        assert events(review(controller)) == both(0)
    finally:
        sh(fleet, f"umount {STATE}")
    assert events(full) == events(again) == events(roomy) == both(2)
    for result in full.values():
        assert "No space left on device" in result["state_error"]
    assert all(not result.get("state_error") for result in roomy.values())


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        ("ln -s /etc/shadow", "symbolic link"),
        ("mkfifo", "is a pipe"),
        ("mkdir", "is a folder"),
        ("ln -s /srv/elsewhere", "symbolic link"),
    ],
)
def test_what_somebody_puts_in_the_place_of_a_log_is_not_read_nor_waited_for(fleet, controller, attack, word):
    """In a folder that everybody can write; the log comes back, and what was written to it meanwhile is read."""
    review(controller)
    sh(fleet, f"mv {LOG} /srv/open/aside; su maint -s /bin/sh -c '{attack} {LOG}'")
    for summaries in found(review(controller), "readable").values():
        assert [status for status, _words in summaries] == ["unknown"]
        assert word in summaries[0][1]
    sh(fleet, f"rm -r {LOG}; mv /srv/open/aside {LOG}; echo '[error] meanwhile' >> {LOG}")
    results = review(controller)
    assert events(results) == both(1)
    assert found(results, "lost") == both([("ok", "every log goes on from where it was read last")])
    assert "root:" not in str(results)
