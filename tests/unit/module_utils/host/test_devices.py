# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of disks and networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import Block
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.links import Link


def disk(make, **figures):
    zero = dict.fromkeys(Block.__dataclass_fields__, 0)
    return replace(make.sample(1.0), blocks={"vda": Block(**{**zero, **figures})})


def test_a_slow_disk_is_told_by_its_waiting_time(ask_one, healthy, make):
    finding = ask_one(replace(healthy, sample=disk(make, reads=2, read_ms=400, busy_ms=900, queue_ms=1500)), "disk_io")
    assert (finding.value, finding.unit, finding.status) == (200, "ms", "warning")
    assert "90 % busy, 1.50 requests under way" in finding.summary


def test_a_disk_that_answers_nothing_has_waited_for_the_whole_sample(ask_one, healthy, make):
    finding = ask_one(replace(healthy, sample=disk(make, in_flight=4, busy_ms=1000)), "disk_io")
    assert (finding.value, finding.status) == (1000, "critical")
    assert "no request ended, 4 waiting" in finding.summary


def test_an_idle_disk_is_fine_and_has_no_waiting_time(ask_one, metrics_of, healthy):
    finding = ask_one(healthy, "disk_io")
    assert (finding.status, finding.value) == ("ok", None)
    assert "idle" in finding.summary
    metrics = metrics_of(healthy, "disk_io")
    assert metrics["host.disk_io_busy", "vda"] == 0
    assert ("host.disk_io", "vda") not in metrics


def test_a_container_without_disks_is_skipped(ask_one, healthy, make):
    assert ask_one(replace(healthy, sample=replace(make.sample(1.0), blocks={})), "disk_io").status == "skipped"


def traffic(make, **figures):
    base = make.sample(1.0)
    return replace(base, interfaces={"eth0": {**base.interfaces["eth0"], **figures}})


def test_the_first_run_only_looks_at_networks(ask_one, healthy):
    assert ask_one(healthy, "network_errors").status == "skipped"
    assert ask_one(healthy, "network_drops").status == "skipped"


@pytest.mark.parametrize(
    ("errors", "packets", "status"),
    [(0, 10**6, "ok"), (999, 10**6, "ok"), (1000, 10**6, "warning"), (10**4, 10**6, "critical"), (9, 9, "ok")],
)
def test_errors_are_a_share_of_the_packets_since_the_last_run(
    ask_one, remembered, healthy, later, make, errors, packets, status
):
    host = later(sample=traffic(make, rx_errors=errors, rx_packets=packets))
    finding = ask_one(host, "network_errors", memory=remembered(healthy))
    assert (finding.item, finding.status) == ("eth0", status)


def test_errors_and_drops_are_two_questions(ask, remembered, healthy, later, make):
    host = later(sample=traffic(make, rx_dropped=600, tx_carrier=600, rx_packets=10_000))
    errors, drops = ask(host, "network_errors", "network_drops", memory=remembered(healthy))
    assert (errors.status, errors.evidence) == ("critical", ("carrier losses: 600",))
    assert (drops.status, drops.evidence) == ("critical", ("dropped on receipt: 600",))


@pytest.mark.parametrize(
    ("figures", "amount"),
    [
        ({"rx_errors": 300, "rx_frame": 200, "rx_fifo": 100}, 300),
        ({"rx_errors": 100, "rx_frame": 100, "rx_fifo": 200}, 300),
        ({"tx_errors": 300, "tx_carrier": 300}, 300),
        ({"rx_errors": 100, "tx_errors": 100, "tx_collisions": 100}, 300),
    ],
)
def test_a_packet_that_stands_in_two_counters_is_counted_once(
    ask_one, remembered, healthy, later, make, figures, amount
):
    host = later(sample=traffic(make, rx_packets=100_000, **figures))
    finding = ask_one(host, "network_errors", memory=remembered(healthy))
    assert f"{amount} of 100000 packets" in finding.summary
    assert finding.value == amount / 1000


@pytest.mark.parametrize("boot", ["boot-one", "boot-two"])
def test_counters_that_were_reset_count_from_zero(ask_one, remembered, healthy, later, make, boot):
    memory = remembered(replace(healthy, sample=traffic(make, rx_errors=5000, rx_packets=10**6)))
    host = later(boot=boot, sample=traffic(make, rx_errors=2, rx_packets=10**5))
    finding = ask_one(host, "network_errors", memory=memory)
    assert "2 of 100000 packets" in finding.summary


def test_a_new_interface_waits_for_the_next_run(ask, remembered, healthy, later, make):
    base = make.sample(1.0).interfaces["eth0"]
    host = later(sample=make.sample(1.0, interfaces={"eth0": base, "eth1": base}))
    findings = ask(host, "network_errors", memory=remembered(healthy))
    assert [(one.item, one.status) for one in findings] == [("eth0", "ok"), ("eth1", "skipped")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"duplex": "half"}, "half duplex"),
        ({"carrier": False}, "no carrier"),
        ({"speed": 100}, "ran at 1000 Mb/s at the last run"),
    ],
)
def test_a_link_that_is_wired_badly_is_told(ask_one, remembered, healthy, later, changes, words):
    link = replace(healthy.links["eth0"], **changes)
    finding = ask_one(later(links={"eth0": link}), "network_link", memory=remembered(healthy))
    assert finding.status == "warning"
    assert words in finding.summary


def test_the_parts_of_a_bond_have_one_speed(ask, healthy):
    pair = {
        name: Link(name, True, True, True, 0, speed, "full", "bond0") for name, speed in (("a", 1000), ("b", 10000))
    }
    assert [one.status for one in ask(replace(healthy, links=pair), "network_link")] == ["warning", "ok"]


def test_a_virtual_link_without_a_speed_is_fine(ask_one, healthy):
    link = Link("eth0", True, True, True, None, None, None)
    assert ask_one(replace(healthy, links={"eth0": link}), "network_link").status == "ok"


def test_a_link_that_is_switched_off_is_fine(ask_one, healthy):
    link = Link("eth1", True, False, None, None, None, None)
    finding = ask_one(replace(healthy, links={"eth1": link}), "network_link")
    assert (finding.status, finding.summary) == ("ok", "eth1: switched off")


def test_a_carrier_that_comes_and_goes_is_told(ask_one, remembered, healthy, later):
    link = replace(healthy.links["eth0"], carrier_changes=8)
    finding = ask_one(later(links={"eth0": link}), "network_flaps", memory=remembered(healthy))
    assert (finding.value, finding.status) == (6, "warning")


def test_connection_tracking_runs_full(ask_one, healthy):
    assert ask_one(replace(healthy, conntrack=(950, 1000)), "conntrack").status == "critical"
    assert ask_one(replace(healthy, conntrack=(0, 0)), "conntrack").status == "critical"
