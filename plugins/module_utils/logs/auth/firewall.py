# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that the kernel logged for a rule of the firewall.

The prefix is the rule's (``iptables --log-prefix``, nft's ``log prefix``, ufw's ``[UFW BLOCK] ``), the rest is the
kernel's: ``dump_ipv4_packet`` and ``dump_ipv6_packet`` in net/netfilter/nf_log_syslog.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import address_of

#: Prefixes by which rules say that what they log is thrown away. What ufw audits it blocks in a line of its own.
BLOCKED = r"(?i)^(?!.*\baudit\b).*(block|drop|reject|den[iy]|refus|invalid|discard|blacklist)"

#: ``[ 1234.567890] ``, with ``[  T123] `` behind it where the kernel says who called (CONFIG_PRINTK_CALLER).
_STAMP = re.compile(r"\[\s*\d+\.\d+\] ?(?:\[\s*[TC]\d+\] ?)?")
_PACKET = re.compile(r"(?P<prefix>.{0,200}?)IN=(?P<inside>\S*) OUT=(?P<outside>\S*) (?P<rest>.*)$", re.DOTALL)
#: The whole name: nft's ``flags all`` writes MACSRC=, MACDST= and MACPROTO= in front of these.
_FIELD = re.compile(r"(?<!\S)(SRC|DST|PROTO|DPT)=(\S+)")
#: Protocols for which the kernel has no word, by their numbers (IANA, Protocol Numbers).
_NUMBERED = {
    "2": "igmp",
    "4": "ipip",
    "41": "ipv6",
    "47": "gre",
    "89": "ospf",
    "103": "pim",
    "112": "vrrp",
    "132": "sctp",
}


@dataclass(frozen=True)
class Packet:
    """One logged packet. ``port`` is 0 where its protocol has none; ``outgoing`` is one that this host sent itself."""

    prefix: str
    source: str
    target: str
    protocol: str
    port: int
    outgoing: bool


def parse(message: str) -> Packet | None:
    """The packet that a message of the kernel tells of; None for any other message."""
    if "PROTO=" not in message or "IN=" not in message:
        return None
    stamp = _STAMP.match(message)
    match = _PACKET.match(message, stamp.end() if stamp else 0)
    if match is None:
        return None
    fields: dict[str, str] = {}
    # An ICMP error quotes the packet it is about behind its own fields.
    for name, value in _FIELD.findall(match["rest"].partition(" [")[0]):
        fields.setdefault(name, value)
    if not address_of(fields.get("SRC", "")):
        return None
    port, protocol = fields.get("DPT", ""), fields.get("PROTO", "").lower()
    return Packet(
        prefix=match["prefix"].strip(),
        source=address_of(fields["SRC"]),
        target=address_of(fields.get("DST", "")),
        protocol=_NUMBERED.get(protocol, f"protocol {protocol}" if protocol.isdecimal() else protocol),
        port=int(port) if port.isdecimal() and len(port) <= 5 else 0,
        outgoing=not match["inside"] and bool(match["outside"]),
    )
