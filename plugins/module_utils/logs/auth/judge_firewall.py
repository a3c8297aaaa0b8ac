# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure answers to the questions on what the firewall threw away."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocked, Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View

_SHOWN = 9


def judge_blocked(view: View) -> Iterator[Answer]:
    """Blocked packets an hour, by source and by port."""
    blocks = given(view.kernel)
    evidence = [
        f"from {source}: {counted(entry.packets, 'packet')} to {_ports(entry)}"
        for source, entry in list(blocks.sources.heaviest())[:_SHOWN]
    ]
    evidence += [
        f"to {_port(place)}: {counted(entry.packets, 'packet')} from {entry.others.counted('address', 'addresses')}"
        for place, entry in list(blocks.ports.heaviest())[:_SHOWN]
    ]
    if blocks.sources.dropped:
        evidence.append(f"only the busiest sources are told apart; let go: {blocks.sources.dropped}")
    if blocks.other:
        prefixes = ", ".join(f"'{prefix}' {amount}" for prefix, amount in blocks.other_prefixes.commonest(4))
        evidence.append(f"logged without a word of blocking: {blocks.other} ({prefixes})")
    note = f"{blocks.packets} {view.spanned('packets')} from {_sources(blocks)}"
    if not blocks.packets + blocks.other + blocks.outgoing_packets:
        note = f"no rule of the firewall logged anything {view.spanned('packets')}"
    if blocks.allowed:
        note += f"; {blocks.allowed} of allowed networks not judged"
    yield from view.measure(
        "logs.firewall_blocked", "incoming", view.rate("packets", blocks.packets), "Blocked packets an hour",
        evidence=evidence, note=note,
    )  # fmt: skip


def listener_hits(view: View) -> dict[str, tuple[str, Blocked]]:
    """Blocked ports behind which something listens, loopback left out: ``tcp/5432`` to who listens and what came."""
    blocks = given(view.kernel)
    hits: dict[str, tuple[str, Blocked]] = {}
    for listener in view.listeners:
        entry = blocks.ports.known((listener.protocol, listener.port))
        if entry is not None and not listener.loopback:
            held = f" ({clean(listener.process, limit=40)})" if listener.process else ""
            hits.setdefault(f"{listener.protocol}/{listener.port}", (f"{listener.place}{held}", entry))
    return hits


def judge_listener_hit(view: View) -> Iterator[Answer]:
    """Ports of this host that are knocked at and that no earlier run has told of."""
    hits = listener_hits(view)
    known = view.memory.get("ports")
    before = {str(port) for port in known} if isinstance(known, list) else set()
    new = {port: hit for port, hit in hits.items() if port not in before}
    evidence = [
        f"{port}: {place}, {counted(entry.packets, 'blocked packet')} from "
        f"{entry.others.counted('address', 'addresses')} such as {entry.others.commonest(1)[0][0]}"
        for port, (place, entry) in sorted(new.items(), key=lambda pair: -pair[1][1].packets)
    ]
    note = f"{counted(len(hits) - len(new), 'other')} known" if len(hits) > len(new) else ""
    phrase = "Blocked ports behind which something listens"
    yield from view.measure("logs.firewall_listener_hit", "ports", len(new), phrase, evidence=evidence, note=note)


def judge_outgoing(view: View) -> Iterator[Answer]:
    """What the host itself tried to reach."""
    blocks = given(view.kernel)
    evidence = [
        f"to {target}: {counted(entry.packets, 'packet')}"
        for target, entry in list(blocks.outgoing.heaviest())[:_SHOWN]
    ]
    phrase = "Blocked packets of the host itself"
    yield from view.measure("logs.firewall_outgoing", "outgoing", blocks.outgoing_packets, phrase, evidence=evidence)


def _ports(entry: Blocked) -> str:
    """What the packets were to: ports, and protocols that have none."""
    commonest = ", ".join(place for place, _amount in entry.others.commonest(4))
    return commonest if len(entry.others) <= 4 else f"{entry.others.worded()} ports such as {commonest}"


def _port(place: tuple[str, int]) -> str:
    return f"{place[0]}/{place[1]}" if place[1] else place[0]


def _sources(blocks: Blocks) -> str:
    number = len(blocks.sources)
    return f"{number} or more addresses" if blocks.sources.dropped else counted(number, "address", "addresses")
