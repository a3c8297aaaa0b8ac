# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that go from host to host."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import fold
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.crossings import Crossings
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import finding, view


def seen(host, *addresses, failures=1, blocked=0):
    told = [{"address": address, "failures": failures, "blocked": blocked} for address in addresses]
    return view(finding(), host=host, module="auth_log_review", sources=told)


def test_an_address_that_probes_twelve_hosts_slowly_is_plain_on_all_of_them():
    crossings = Crossings()
    for number in range(12):
        crossings.add(seen(f"web-{number}", "203.0.113.9", f"198.51.100.{number}", failures=2, blocked=3))
    (crossing,) = crossings.several()
    assert (crossing.address, crossing.hosts, crossing.failures, crossing.blocked) == ("203.0.113.9", 12, 24, 36)
    assert crossing.examples == ["web-0", "web-1", "web-2", "web-3", "web-4"]


def test_what_the_reviews_of_one_host_tell_of_an_address_is_added_up():
    told = [
        {"address": "203.0.113.9", "failures": 2, "blocked": 1},
        {"address": "203.0.113.9", "failures": 1, "attacks": 4},
    ]
    visitor = {"address": "198.51.100.1", "requests": 900, "errors": 3, "failures": 0, "attacks": 0}
    assert view(finding(), sources=[*told, visitor]).sources == {"203.0.113.9": (3, 1, 4)}


def test_two_hosts_are_not_several():
    crossings = Crossings()
    for host in ("a", "b"):
        crossings.add(seen(host, "203.0.113.9", failures=500))
    assert crossings.several() == []
    assert len(crossings.several(2)) == 1


def test_memory_does_not_grow_with_the_fleet_and_what_was_let_go_is_counted():
    crossings = Crossings(capacity=100)
    for number in range(500):
        crossings.add(seen(f"h{number}", "203.0.113.9", *(f"10.{number >> 8}.{number & 255}.{at}" for at in range(20))))
    assert len(crossings._known) <= 200
    assert crossings.let_go > 9000
    assert crossings.several()[0].hosts == 500


def test_what_a_host_sends_is_taken_for_what_it_may_be():
    told = [
        {"address": "<script>", "failures": 1},
        {"address": "2001:db8::0001", "failures": "many", "blocked": -4},
        {"address": None},
        {"failures": 1},
        "203.0.113.9",
        {"address": "203.0.113.9", "failures": True, "blocked": 2.9},
    ]
    assert view(finding(), sources=told).sources == {"203.0.113.9": (0, 2, 0)}
    assert view(finding(), sources="203.0.113.9").sources == {}
    flood = [{"address": f"10.0.{number >> 8}.{number & 255}", "failures": 1} for number in range(2000)]
    assert len(view(finding(), sources=flood).sources) == fold.MAX_SOURCES
