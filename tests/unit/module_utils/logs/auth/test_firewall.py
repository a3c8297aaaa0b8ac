# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that the kernel logged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.firewall import BLOCKED, Packet, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings, read_networks
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import FIXTURES, NOW

TCP = (
    "[UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=203.0.113.9 DST=192.0.2.10 LEN=40 "
    "TOS=0x00 PREC=0x00 TTL=245 ID=54321 PROTO=TCP SPT=40000 DPT=5432 WINDOW=1024 RES=0x00 SYN URGP=0 "
)
V6 = (
    "nft-drop: IN=eth0 OUT= MAC=33:33:00:00:00:01:52:54:00:65:43:21:86:dd SRC=2001:0db8:0000:0000:0000:0000:0000:0001 "
    "DST=2001:0db8:0000:0000:0000:0000:0000:0002 LEN=64 TC=0 HOPLIMIT=1 FLOWLBL=0 PROTO=UDP SPT=5353 DPT=53 LEN=24 "
)
ICMP = (
    "FINAL_REJECT: IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.10 LEN=68 TOS=0x00 PREC=0x00 TTL=57 ID=0 PROTO=ICMP TYPE=3 "
    "CODE=1 [SRC=192.0.2.10 DST=203.0.113.9 LEN=40 PROTO=TCP SPT=22 DPT=4444 WINDOW=0 RES=0x00 ACK URGP=0 ] "
)
OUT = (
    "[UFW BLOCK] IN= OUT=eth0 SRC=192.0.2.10 DST=198.51.100.66 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP "
    "SPT=40000 DPT=6667 WINDOW=64240 RES=0x00 SYN URGP=0 "
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (TCP, Packet("[UFW BLOCK]", "203.0.113.9", "192.0.2.10", "tcp", 5432, False)),
        (f"[ 1234.567890] {TCP}", Packet("[UFW BLOCK]", "203.0.113.9", "192.0.2.10", "tcp", 5432, False)),
        (V6, Packet("nft-drop:", "2001:db8::1", "2001:db8::2", "udp", 53, False)),
        (ICMP, Packet("FINAL_REJECT:", "203.0.113.9", "192.0.2.10", "icmp", 0, False)),
        (OUT, Packet("[UFW BLOCK]", "192.0.2.10", "198.51.100.66", "tcp", 6667, True)),
        ("usb 1-1: PROTO=TCP IN=x", None),
        ("eth0: link up", None),
    ],
)
def test_packets(message, expected):
    assert parse(message) == expected


def captured():
    """What kernels wrote: 6.18 for iptables, nft and ufw, and lines that were published, with addresses replaced.

    Prefix, source, target, protocol and port, direction, whether the rule says that it blocks, and the message.
    """
    for line in (FIXTURES / "packets.tsv").read_text().splitlines():
        yield line.split("\t")


@pytest.mark.parametrize(("prefix", "source", "target", "place", "way", "becomes", "message"), list(captured()))
def test_what_kernels_wrote(prefix, source, target, place, way, becomes, message):
    protocol, _slash, port = place.partition("/")
    assert parse(message) == Packet(prefix, source, target, protocol, int(port or 0), way == "out")
    added = blocks(message)
    assert added.packets + added.outgoing_packets == (becomes == "blocked")
    assert added.other == (becomes == "logged")


def blocks(*messages, **settings):
    added = Blocks(Settings(blocked=BLOCKED, **settings))
    for message in messages:
        added.take(parse(message), NOW - 60)
    return added


def test_what_was_blocked_is_told_by_source_and_port(ask):
    (finding,) = ask("firewall_blocked", kernel=blocks(TCP, TCP, V6, ICMP))
    assert (finding.status, finding.value) == ("ok", 2)
    assert "4 in 2 h from 2 addresses" in finding.summary
    assert finding.evidence[0] == "from 203.0.113.9: 3 packets to tcp/5432, icmp"
    assert "to tcp/5432: 2 packets from 1 address" in finding.evidence


def test_what_is_logged_without_blocking_is_not_counted_as_blocked(ask):
    (finding,) = ask("firewall_blocked", kernel=blocks(TCP.replace("BLOCK", "AUDIT")))
    assert finding.value == 0
    assert finding.evidence == ("logged without a word of blocking: 1 ('[UFW AUDIT]' 1)",)


def test_what_the_host_itself_sends_stands_apart(ask):
    added = blocks(OUT, OUT)
    assert added.packets == 0
    (finding,) = ask("firewall_outgoing", kernel=added)
    assert (finding.status, finding.value) == ("info", 2)
    assert finding.evidence == ("to 198.51.100.66 tcp/6667: 2 packets",)


def test_a_blocked_port_behind_which_something_listens_is_told_once(ask):
    def listening(address):
        return [Listener("tcp", address, 5432, inode=1, uid=0, process="postgres")]

    added = blocks(TCP)
    (finding,) = ask("firewall_listener_hit", kernel=added, listeners=listening("0.0.0.0"))
    assert (finding.status, finding.value) == ("info", 1)
    assert finding.evidence == (
        "tcp/5432: tcp 0.0.0.0:5432 (postgres), 1 blocked packet from 1 address such as 203.0.113.9",
    )
    (again,) = ask(
        "firewall_listener_hit", kernel=added, listeners=listening("0.0.0.0"), memory={"ports": ["tcp/5432"]}
    )
    assert (again.status, again.value) == ("ok", 0)
    (loopback,) = ask("firewall_listener_hit", kernel=added, listeners=listening("127.0.0.1"))
    assert loopback.value == 0


def test_allowed_networks_are_not_judged(ask):
    added = blocks(TCP, V6, networks_allowed=read_networks(["203.0.113.0/24"], option="networks_allowed"))
    (finding,) = ask("firewall_blocked", kernel=added)
    assert finding.summary.endswith("1 in 2 h from 1 address; 1 of allowed networks not judged")


def test_memory_is_bounded_however_many_sources_there_are(ask):
    added = Blocks(Settings(blocked=BLOCKED))
    for number in range(30_000):
        source = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        added.take(Packet("DROP", source, "192.0.2.10", "tcp", 1 + number % 60_000, False), NOW)
    for _again in range(50):
        added.take(Packet("DROP", "203.0.113.9", "192.0.2.10", "tcp", 22, False), NOW)
    assert len(added.sources) <= 4000
    assert len(added.ports) <= 4000
    assert next(added.sources.heaviest())[0] == "203.0.113.9"
    (finding,) = ask("firewall_blocked", kernel=added)
    assert "or more addresses" in finding.summary


@given(st.text(max_size=200))
def test_nothing_breaks_it(text):
    parse(f"{text} IN=eth0 OUT= {text} SRC=203.0.113.9 PROTO=TCP {text}")
    parse(f"IN= OUT=x SRC={text} DPT={text} PROTO=")
