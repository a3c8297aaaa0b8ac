# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure answers for ports."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Holders, Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import (
    PortsAllowed,
    PortWanted,
    process_fits,
)

_RIGHTS = "Run with become: true to see whose sockets these are."


def judge_port(
    wanted: PortWanted, sockets: Sequence[Listener], owners: Holders, *, v6_only: bool = False
) -> list[Finding]:
    """All findings for one entry of ``ports``. ``v6_only``: a socket on ``::`` takes no IPv4 (bindv6only)."""
    listening = [socket for socket in sockets if wanted.covers(socket)]
    evidence = [described(socket, owners) for socket in listening]
    if wanted.state == "closed":
        return [_closed(wanted, listening, evidence)]
    findings = [_listening(wanted, listening, evidence, v6_only=v6_only)]
    if wanted.address == "loopback" and listening:
        findings.append(_exposed(wanted, listening, evidence))
    if wanted.process:
        findings.append(_process(wanted, listening, owners, evidence))
    return findings


def described(socket: Listener, owners: Holders) -> str:
    """A socket with its owner as evidence: ``tcp 127.0.0.1:5432 postgres``."""
    names = owners.of(socket)
    return f"{socket.place} {', '.join(names) if names else f'uid {socket.uid}'}"


def _closed(wanted: PortWanted, listening: Sequence[Listener], evidence: Sequence[str]) -> Finding:
    if not listening:
        return CATALOGUE.stated(
            "services.port", wanted.item, "ok", f"Nothing listens on {wanted.item}, as it should be"
        )
    summary = f"{wanted.item} should be closed, but something listens on {_places(listening)}"
    return CATALOGUE.stated("services.port", wanted.item, "critical", summary, evidence=evidence)


def _listening(wanted: PortWanted, listening: Sequence[Listener], evidence: Sequence[str], *, v6_only: bool) -> Finding:
    if not listening:
        return CATALOGUE.stated("services.port", wanted.item, "critical", f"Nothing listens on {wanted.item}")
    if not any(_at_address(wanted, socket, v6_only=v6_only) for socket in listening):
        summary = f"{wanted.item} listens on {_places(listening)}, but not on {_wording(wanted.address)}"
        return CATALOGUE.stated("services.port", wanted.item, "critical", summary, evidence=evidence)
    return CATALOGUE.stated("services.port", wanted.item, "ok", f"{wanted.item} listens on {_places(listening)}")


def _at_address(wanted: PortWanted, socket: Listener, *, v6_only: bool) -> bool:
    if wanted.address == "loopback":
        return socket.loopback or socket.wildcard
    if wanted.address == "any":
        return socket.wildcard
    if not wanted.address or socket.address == wanted.address:
        return True
    # 0.0.0.0 takes IPv4 alone, :: takes IPv6 and, unless the kernel's default is otherwise, IPv4 as well.
    wants_v6 = ":" in wanted.address
    return (socket.address == "0.0.0.0" and not wants_v6) or (  # noqa: S104 - compared, not bound
        socket.address == "::" and (wants_v6 or not v6_only)
    )


def _wording(address: str) -> str:
    return {"any": "all addresses", "loopback": "a loopback address"}.get(address, address)


def _exposed(wanted: PortWanted, listening: Sequence[Listener], evidence: Sequence[str]) -> Finding:
    outside = [socket for socket in listening if not socket.loopback]
    if not outside:
        summary = f"{wanted.item} listens on loopback alone"
        return CATALOGUE.stated("services.port_exposed", wanted.item, "ok", summary)
    summary = f"{wanted.item} is for this host alone, but listens on {_places(outside)}"
    return CATALOGUE.stated("services.port_exposed", wanted.item, "critical", summary, evidence=evidence)


def _process(wanted: PortWanted, listening: Sequence[Listener], owners: Holders, evidence: Sequence[str]) -> Finding:
    check = "services.port_process"
    if not listening:
        return CATALOGUE.skipped(check, wanted.item, f"nothing listens on {wanted.item}, so nobody owns it")
    unseen = [socket for socket in listening if not owners.of(socket)]
    wrong = [
        socket for socket in listening if owners.of(socket) and not process_fits(wanted.process, owners.of(socket))
    ]
    if wrong:
        names = ", ".join(sorted({name for socket in wrong for name in owners.of(socket)}))
        summary = f"{wanted.item} is held by {names}, but should be by {wanted.process}"
        return CATALOGUE.stated(check, wanted.item, "critical", summary, evidence=evidence)
    if unseen and not owners.complete:
        reason = f"the owner of {_places(unseen)} cannot be seen without root"
        return CATALOGUE.skipped(check, wanted.item, reason, remedy=_RIGHTS)
    if unseen:
        summary = f"{_places(unseen)} is held by no process that can be seen: by the kernel, or from another container"
        return CATALOGUE.stated(check, wanted.item, "unknown", summary, evidence=evidence)
    return CATALOGUE.stated(check, wanted.item, "ok", f"{wanted.item} is held by {wanted.process}")


def unexpected(
    sockets: Sequence[Listener], *, allowed: Sequence[PortsAllowed], ports: Sequence[PortWanted], outgoing: range
) -> list[Listener]:
    """The sockets that others can reach and nobody named. ``outgoing`` are the ports of outgoing UDP traffic."""
    named: list[PortsAllowed | PortWanted] = [*allowed, *(wanted for wanted in ports if wanted.state == "listening")]
    return [
        socket
        for socket in sockets
        if not socket.loopback
        and not (socket.protocol == "udp" and socket.port in outgoing)
        and not any(entry.covers(socket) for entry in named)
    ]


def judge_unexpected(strangers: Sequence[Listener], owners: Holders, *, reachable: int) -> list[Finding]:
    """One finding for each port and protocol that nobody named."""
    check = "services.unexpected_listener"
    if not strangers:
        summary = f"{counted(reachable, 'listener')} can be reached from outside, all of them allowed"
        return [CATALOGUE.stated(check, "listeners", "ok", summary)]
    items: dict[str, list[Listener]] = {}
    for socket in strangers:
        items.setdefault(f"{socket.protocol}/{socket.port}", []).append(socket)
    return [
        CATALOGUE.stated(
            check,
            item,
            "warning",
            f"{_places(group)} can be reached from outside and is not among the allowed ports",
            evidence=[described(socket, owners) for socket in group],
            remedy="" if owners.complete else f"{CATALOGUE[check].remedy} {_RIGHTS}",
        )
        for item, group in items.items()
    ]


def listener_metrics(sockets: Sequence[Listener]) -> list[Metric]:
    """How many sockets listen, and how many of them on addresses that others can reach."""
    return [
        metric
        for protocol in ("tcp", "udp")
        for own in [[socket for socket in sockets if socket.protocol == protocol]]
        for metric in (
            Metric("services.listeners", protocol, len(own)),
            Metric("services.listeners_reachable", protocol, sum(1 for socket in own if not socket.loopback)),
        )
    ]


def _places(sockets: Sequence[Listener]) -> str:
    return ", ".join(dict.fromkeys(socket.place for socket in sockets))
