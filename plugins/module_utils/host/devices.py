# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about disks and network interfaces: what they did, what went wrong, how they are wired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import block_rate, grown
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.links import Link
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Recalled, View

#: A share of fewer packets than this would make an alarm of a single one.
_FEWEST_PACKETS = 10_000
_ERRORS = {
    "rx_errors": "receive errors", "rx_fifo": "receive overruns", "rx_frame": "frame errors",
    "tx_errors": "send errors", "tx_fifo": "send overruns", "tx_carrier": "carrier losses",
    "tx_collisions": "collisions",
}  # fmt: skip
_DROPS = {"rx_dropped": "dropped on receipt", "tx_dropped": "dropped on sending"}
#: The first of each is to count what the others tell apart (struct rtnl_link_stats64); some drivers leave that out.
_SUMS = (("rx_errors", ("rx_fifo", "rx_frame")), ("tx_errors", ("tx_fifo", "tx_carrier")))


def disk_io(view: View) -> Iterator[Answer]:
    first, second = given(view.host.earlier), given(view.host.sample)
    seconds = second.at - first.at
    names = [name for name in second.blocks if name in first.blocks]
    if not names:
        raise Absent("this host has no disk of its own, as in containers")
    for name in names:
        rate = block_rate(first.blocks[name], second.blocks[name], seconds=seconds)
        note = f"{quantity(rate.busy_percent, '%')} busy, {rate.queue:.2f} requests under way"
        hangs = rate.await_ms is None and rate.in_flight > 0
        if hangs:
            note += f"; no request ended, {rate.in_flight} waiting"
        waited = seconds * 1000.0 if hangs else rate.await_ms
        if waited is None:
            idle = f"{name} was idle: no request in {quantity(seconds, 's')}, so nobody waited"
            yield view.state("host.disk_io", name, "ok", idle)
        else:
            yield from view.measure("host.disk_io", name, waited, f"time a request to {name} took", note=note)
        for metric, value, unit in (
            ("busy", rate.busy_percent, "%"),
            ("queue", rate.queue, ""),
            ("read", rate.read_bytes, "B/s"),
            ("written", rate.written_bytes, "B/s"),
        ):
            yield Metric(f"host.disk_io_{metric}", name, value, unit)


def network_errors(view: View) -> Iterator[Answer]:
    yield from _troubles(view, "host.network_errors", _ERRORS, "packets that went wrong on")


def network_drops(view: View) -> Iterator[Answer]:
    yield from _troubles(view, "host.network_drops", _DROPS, "packets dropped on")


def _troubles(view: View, check: str, fields: Mapping[str, str], phrase: str) -> Iterator[Answer]:
    sample = given(view.host.sample)
    if not sample.interfaces:
        raise Absent("there is no network interface but those that are left out")
    before = view.recall("interfaces")
    for name, figures in sample.interfaces.items():
        past = before.data.get(name)
        if not isinstance(past, dict):
            yield view.state(check, name, "skipped", f"{name} is new since the last run, the next one compares")
            continue
        then = Recalled(past, before.at, before.same_boot)
        grew = {field: then.grown(field, figures[field]) or 0 for field in fields}
        packets = sum(then.grown(field, figures[field]) or 0 for field in ("rx_packets", "tx_packets"))
        troubles = _together(grew)
        yield from view.measure(
            check,
            name,
            100.0 * troubles / max(packets, _FEWEST_PACKETS),
            f"{phrase} {name} since the last run",
            note=f"{troubles} of {counted(packets, 'packet')}",
            evidence=[f"{fields[field]}: {amount}" for field, amount in grew.items() if amount],
        )


def _together(grew: Mapping[str, int]) -> int:
    """How many packets had trouble; one that stands both in a sum and in one of its parts counts once."""
    rest = dict(grew)
    amount = 0
    for whole, parts in _SUMS:
        amount += max(rest.pop(whole, 0), sum(rest.pop(part, 0) for part in parts))
    return amount + sum(rest.values())


def network_traffic(view: View) -> Iterator[Answer]:
    """Rates for trends; they come with the link's finding and need a second sample."""
    first, second = view.host.earlier, view.host.sample
    if first is None or second is None or isinstance(first, Absent) or isinstance(second, Absent):
        return
    seconds = second.at - first.at
    for name, figures in second.interfaces.items():
        past = first.interfaces.get(name)
        for field, metric in (("rx_bytes", "received"), ("tx_bytes", "sent")):
            if past:
                yield Metric(f"host.network_{metric}", name, grown(figures[field], past[field]) / seconds, "B/s")


def network_link(view: View) -> Iterator[Answer]:
    check = "host.network_link"
    links = given(view.host.links)
    if not links:
        raise Absent("there is no network interface but those that are left out")
    try:
        past: Mapping[str, object] = view.recall("speeds").data
    except Absent:
        past = {}
    for link in links.values():
        troubles = list(_link_troubles(link, links, past.get(link.name)))
        if troubles:
            yield view.state(
                check, link.name, "warning", f"{link.name}: {'; '.join(troubles)}", evidence=[_wiring(link)]
            )
        else:
            yield view.state(check, link.name, "ok", f"{link.name}: {_wiring(link)}")
        if link.speed:
            yield Metric("host.network_speed", link.name, link.speed * 1_000_000 // 8, "B/s")
    yield from network_traffic(view)


def _link_troubles(link: Link, links: Mapping[str, Link], past_speed: object) -> Iterator[str]:
    if link.up and link.carrier is False:
        yield "is up but has no carrier"
    if link.duplex == "half":
        yield "runs half duplex, so the other end and this one disagree or the cable is bad"
    if link.speed and isinstance(past_speed, int) and link.speed < past_speed:
        yield f"runs at {link.speed} Mb/s, and ran at {past_speed} Mb/s at the last run"
    siblings = [other for other in links.values() if link.master and other.master == link.master and other.speed]
    fastest = max((other.speed or 0 for other in siblings), default=0)
    if link.speed and link.speed < fastest:
        yield f"runs at {link.speed} Mb/s, but another part of {link.master} at {fastest} Mb/s"


def _wiring(link: Link) -> str:
    if not link.up:
        return "switched off"
    speed = f"{link.speed} Mb/s" if link.speed else "speed not told"
    duplex = f"{link.duplex} duplex" if link.duplex else "duplex not told"
    return f"{'carrier' if link.carrier else 'no carrier'}, {speed}, {duplex}"


def network_flaps(view: View) -> Iterator[Answer]:
    links = [link for link in given(view.host.links).values() if link.carrier_changes is not None]
    if not links:
        raise Absent("no interface counts how often its carrier changed")
    before = view.recall("carrier_changes")
    for link in links:
        changes = before.grown(link.name, link.carrier_changes or 0)
        if changes is None:
            yield view.state("host.network_flaps", link.name, "skipped", f"{link.name} is new since the last run")
            continue
        phrase = f"changes of {link.name}'s carrier since the last run"
        yield from view.measure("host.network_flaps", link.name, changes, phrase)


def conntrack(view: View) -> Iterator[Answer]:
    count, maximum = given(view.host.conntrack)
    yield from view.measure(
        "host.conntrack",
        "connections",
        100.0 * count / maximum if maximum else 100.0,
        "room for tracked connections in use",
        note=f"{count} of {maximum}",
    )
