# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line says about logins: lines with their sender, events, and addresses in one spelling."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

#: Characters of a message that are looked at. sshd writes up to 1024 bytes, and whoever writes more has no good reason.
MAX_MESSAGE = 4096


class Kind(Enum):
    """What happened, as far as the counting goes."""

    #: A login was tried and refused.
    FAILED = "failed"
    #: A line that comes before the FAILED of the same attempt, and alone where that one is not logged.
    ANNOUNCED = "announced"
    #: A connection ended before its user was let in; an attempt only where it logged none.
    UNFINISHED = "unfinished"
    #: PAM's own word on attempts that the service mostly tells of as well.
    PAM = "pam"
    ACCEPTED = "accepted"
    #: Somebody connected and did not name a user.
    PROBE = "probe"
    #: sshd refused connections, for there were too many or the address is being punished.
    DROPPED = "dropped"
    COMMAND = "command"
    COMMAND_REFUSED = "command refused"
    #: An account, a group or a password was changed.
    ACCOUNT = "account"
    #: A line that can be read in two ways; a name in it was made to be mistaken for the line itself.
    DECEPTIVE = "deceptive"
    #: Understood, and of no consequence.
    NOISE = "noise"


class Line(NamedTuple):
    """One line: ``when`` in Unix seconds, the program that says it sent it, and who really did.

    ``uid``, ``comm`` and ``exe`` are what the kernel told the journal of the sender (systemd.journal-fields(7));
    None and empty in a file, whose lines anybody on the host can have sent with logger(1).
    """

    when: float
    program: str
    message: str
    pid: str = ""
    uid: int | None = None
    comm: str = ""
    exe: str = ""


@dataclass(frozen=True)
class Event:
    """What a line says. ``address`` is empty for what is local or not an address; ``count`` is how often it happened.

    ``key`` is the fingerprint of a key, ``target`` the account that was acted upon, ``detail`` words for people.
    """

    kind: Kind
    user: str = ""
    address: str = ""
    method: str = ""
    key: str = ""
    target: str = ""
    detail: str = ""
    count: int = 1
    invalid: bool = False
    privileged: bool = False


NOISE = Event(Kind.NOISE)


@lru_cache(maxsize=4096)
def address_of(text: str) -> str:
    """An IP address in its usual spelling, IPv4 where it is one in IPv6's clothes; empty for anything else."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """Who an address counts as: itself, or its /64 where it is IPv6, for of those every customer has a whole one."""
    if ":" not in address:
        return address
    network = ipaddress.IPv6Network(f"{address}/64", strict=False)
    # The loopback and its like have nothing but zeros in front.
    return str(network) if int(network.network_address) else address


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The /24 of an IPv4 and the /48 of an IPv6 address: what one customer or office has."""
    return str(ipaddress.ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))


def clock_words(when: float) -> str:
    """``2026-11-25 09:51:24Z``; empty where the time is not known."""
    try:
        return f"{datetime.fromtimestamp(when, timezone.utc):%Y-%m-%d %H:%M:%S}Z" if when else ""
    except (ValueError, OverflowError, OSError):
        return ""
