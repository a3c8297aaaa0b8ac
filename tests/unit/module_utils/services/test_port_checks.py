# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Holders, Listener, parse_table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.port_checks import (
    judge_port,
    judge_unexpected,
    listener_metrics,
    unexpected,
)

FIXTURES = Path(__file__).parent / "fixtures"
REAL = [
    *parse_table((FIXTURES / "tcp-debian12.txt").read_text(), protocol="tcp"),
    *parse_table((FIXTURES / "tcp6-debian12.txt").read_text(), protocol="tcp"),
]
SEEN = Holders({entry.inode: ("sshd",) if entry.port == 22 else ("python3", "systemd") for entry in REAL}, True)
UNSEEN = Holders({}, False)


def judge(sockets=None, holders=SEEN, v6_only=False, **port):
    (wanted,) = parse({"ports": [port]}).ports
    return {
        finding.check.partition(".")[2]: finding.status
        for finding in judge_port(wanted, REAL if sockets is None else sockets, holders, v6_only=v6_only)
    }


@pytest.mark.parametrize(
    ("port", "statuses"),
    [
        ({"port": 5000}, {"port": "ok"}),
        ({"port": 500}, {"port": "critical"}),
        ({"port": 50000}, {"port": "critical"}),
        ({"port": 5000, "protocol": "udp"}, {"port": "critical"}),
        ({"port": 5000, "address": "loopback"}, {"port": "ok", "port_exposed": "ok"}),
        ({"port": 5000, "address": "any"}, {"port": "critical"}),
        ({"port": 5000, "address": "127.0.0.1"}, {"port": "ok"}),
        ({"port": 5000, "address": "10.0.0.1"}, {"port": "critical"}),
        ({"port": 22, "address": "10.0.0.1"}, {"port": "ok"}),
        ({"port": 22, "address": "any"}, {"port": "ok"}),
        ({"port": 22, "address": "loopback"}, {"port": "ok", "port_exposed": "critical"}),
        ({"port": 22, "process": "sshd"}, {"port": "ok", "port_process": "ok"}),
        ({"port": 22, "process": "ssh"}, {"port": "ok", "port_process": "critical"}),
        ({"port": 5000, "process": "python*"}, {"port": "ok", "port_process": "ok"}),
        ({"port": 23, "process": "telnetd"}, {"port": "critical", "port_process": "skipped"}),
        ({"port": 23, "state": "closed"}, {"port": "ok"}),
        ({"port": 22, "state": "closed"}, {"port": "critical"}),
    ],
)
def test_a_port_against_what_is_wanted(port, statuses):
    assert judge(**port) == statuses


def test_an_owner_that_cannot_be_seen_is_not_called_right():
    assert judge(holders=UNSEEN, port=22, process="sshd")["port_process"] == "skipped"
    assert judge(holders=Holders({}, True), port=22, process="sshd")["port_process"] == "unknown"


def test_one_wrong_owner_is_enough():
    holders = Holders({entry.inode: ("sshd",) if entry.address == "::" else ("nc",) for entry in REAL}, True)
    assert judge(holders=holders, port=22, process="sshd")["port_process"] == "critical"


def strangers(sockets, *allowed, ports=()):
    expected = parse({"ports_allowed": list(allowed), "ports": list(ports)})
    return unexpected(sockets, allowed=expected.allowed, ports=expected.ports, outgoing=range(32768, 61000))


def test_loopback_allowed_and_named_ports_are_expected():
    assert {entry.port for entry in strangers(REAL)} == {22}
    assert strangers(REAL, "22/tcp") == []
    assert strangers(REAL, ports=[{"port": 22}]) == []
    assert {entry.port for entry in strangers(REAL, "22/udp")} == {22}


def test_a_port_that_should_be_closed_is_no_permission():
    assert {entry.port for entry in strangers(REAL, ports=[{"port": 22, "state": "closed"}])} == {22}


def test_clients_udp_sockets_are_no_services():
    client = Listener("udp", "0.0.0.0", 40000, inode=1, uid=0)
    service = Listener("tcp", "0.0.0.0", 40000, inode=2, uid=0)
    assert strangers([client, service]) == [service]


def test_each_unexpected_port_is_one_warning_with_its_owner():
    (finding,) = judge_unexpected(strangers(REAL), SEEN, reachable=2)
    assert (finding.item, finding.status) == ("tcp/22", "warning")
    assert finding.evidence == ("tcp 0.0.0.0:22 sshd", "tcp [::]:22 sshd")
    (quiet,) = judge_unexpected([], SEEN, reachable=2)
    assert (quiet.status, quiet.summary) == ("ok", "2 listeners can be reached from outside, all of them allowed")


def test_metrics_count_sockets():
    counted = {(metric.name, metric.item): metric.value for metric in listener_metrics(REAL)}
    assert counted == {
        ("services.listeners", "tcp"): 3,
        ("services.listeners_reachable", "tcp"): 2,
        ("services.listeners", "udp"): 0,
        ("services.listeners_reachable", "udp"): 0,
    }


ADDRESSES = st.sampled_from(["0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1", "127.8.8.8", "::ffff:127.0.0.1"])
SOCKETS = st.lists(
    st.builds(
        Listener,
        st.sampled_from(["tcp", "udp"]),
        ADDRESSES,
        st.integers(1, 65535),
        inode=st.integers(1),
        uid=st.just(0),
    )
)


@given(SOCKETS, st.integers(1, 65535))
def test_listening_and_closed_are_opposites(sockets, port):
    up = judge(sockets, UNSEEN, port=port)["port"] == "ok"
    closed = judge(sockets, UNSEEN, port=port, state="closed")["port"] == "ok"
    assert up is not closed


@given(SOCKETS)
def test_nothing_on_loopback_is_a_stranger(sockets):
    assert not any(entry.loopback for entry in strangers(sockets))


@pytest.mark.parametrize(
    ("bound", "wanted", "v6_only", "status"),
    [
        ("::", "10.0.0.1", False, "ok"),
        ("::", "10.0.0.1", True, "critical"),
        ("::", "2001:db8::1", True, "ok"),
        ("0.0.0.0", "10.0.0.1", True, "ok"),
        ("0.0.0.0", "2001:db8::1", False, "critical"),
    ],
)
def test_all_addresses_of_one_family_are_not_those_of_the_other(bound, wanted, v6_only, status):
    socket = Listener("tcp", bound, 80, inode=1, uid=0)
    assert judge([socket], v6_only=v6_only, port=80, address=wanted)["port"] == status
