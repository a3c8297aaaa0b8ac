# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the records of one host to what a report says of it: the newest answer to each question, repairs, faults.

A journal holds what hosts sent. Every field is taken for what it may be: wrong in type, far too long, made to deceive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import (
    MAX_EVIDENCE,
    MAX_SUMMARY,
    RANK,
    Finding,
    worst,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import MAX_LINE, clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.maintenance import CATALOGUE

#: Findings of one host that a report takes in; a host that sends more is broken or hostile.
MAX_FINDINGS = 20_000
#: Addresses of one host that are taken in.
MAX_SOURCES = 500
#: What a suppressed finding counts as in tallies: it neither alarms nor is it ok.
SUPPRESSED = "suppressed"
NO_RECORD = "maintenance.record"

Key = tuple[str, str]


def line(raw: object, *, limit: int = MAX_LINE) -> str:
    """One safe line of whatever stood in the record; text that is plain already costs nothing."""
    if isinstance(raw, str) and len(raw) <= limit and raw.isprintable():
        return raw
    return "" if raw is None else clean(raw, limit=limit)


@dataclass(slots=True)
class Change:
    """How a finding stands against the last run of the same cadence on its host.

    ``kind``: ``new`` (was fine or not there), ``worse``, ``better`` (still not fine), ``resolved`` (is fine now),
    ``gone`` (its item is no longer there), ``unseen`` (was not fine and could not be looked at now), ``unchanged``,
    or ``first`` (there was no run before). ``since``: Unix time from which the present status holds.
    """

    kind: str
    since: int
    before: str = ""


@dataclass(slots=True)
class Entry:
    """One finding as a report shows it; all text is clean."""

    check: str
    item: str
    status: str
    summary: str
    module: str
    value: float | None = None
    unit: str = ""
    levels: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[str] = ()
    remedy: str = ""
    owners: Sequence[str] = ()
    suppressed: Mapping[str, str] | None = None
    change: Change | None = None

    @property
    def key(self) -> Key:
        return (self.check, self.item)

    @property
    def standing(self) -> str:
        """The status, or ``suppressed``."""
        return SUPPRESSED if self.suppressed else self.status

    @property
    def alarming(self) -> bool:
        """Whether a person should look: ``info`` or worse, and nobody has said that it is known."""
        return self.suppressed is None and RANK[self.status] >= RANK["info"]


@dataclass(slots=True)
class Repair:
    """What a repair planned and did."""

    module: str
    task: str
    check_mode: bool
    plan: list[dict[str, Any]]
    applied: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    window: str = ""
    override: str = ""


@dataclass(slots=True)
class HostView:
    """All a report knows of one host in one run; ``entries`` stand worst first."""

    host: str
    entries: list[Entry] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    metrics: dict[Key, tuple[float, str]] = field(default_factory=dict)
    #: Addresses that failed to log in or were blocked, with how often they did either.
    sources: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: Modules that came to an end without a fault: only what they used to find can be ``gone``.
    answered: set[str] = field(default_factory=set)
    unreachable: bool = False
    recorded: bool = True
    check_mode: bool = False
    seconds: float = 0.0
    last_time: str = ""
    gone: list[Entry] = field(default_factory=list)

    @property
    def status(self) -> str:
        return worst(entry.status for entry in self.entries if entry.suppressed is None)

    def counts(self) -> dict[str, int]:
        return dict(Counter(entry.standing for entry in self.entries))


def fold(host: str, records: Iterable[Mapping[str, Any]]) -> HostView:
    """The view of a host; of two answers to one question the later record's stands, within a record the worse."""
    view = HostView(host=line(host))
    entries: dict[Key, Entry] = {}
    try:
        for record in records:
            if isinstance(record, dict):
                _absorb(view, entries, record)
    except (ValueError, MaintenanceError) as error:
        view.faults.append(line(f"the journal of this host cannot be read on: {error}"))
    view.entries = sorted(entries.values(), key=_order)
    if not entries and not view.faults:
        if view.answered == {"discover"}:
            said = "nothing was looked at: the host has none of this cadence's subjects, or tags left them out"
            view.entries = [_stated(CATALOGUE.skipped("maintenance.subjects", view.host, said), module="discover")]
        else:
            view.faults.append("the records of this host hold no findings")
    return view


def without_record(host: str) -> HostView:
    """The view of a host that the run was meant for and that left nothing behind."""
    finding = CATALOGUE.stated(
        NO_RECORD,
        host,
        "unknown",
        "no record: the run never reached this host, left it out, or was killed before it had an answer",
    )
    return HostView(host=line(host), entries=[_stated(finding, module="report")], recorded=False)


def _stated(finding: Finding, *, module: str) -> Entry:
    return Entry(
        check=finding.check,
        item=finding.item,
        status=finding.status,
        summary=finding.summary,
        module=module,
        remedy=finding.remedy,
    )


def _order(entry: Entry) -> tuple[int, str, str]:
    rank = RANK[entry.status] if entry.suppressed is None else RANK["skipped"]
    return (-rank, entry.check, entry.item)


def _absorb(view: HostView, entries: dict[Key, Entry], record: Mapping[str, Any]) -> None:
    module = line(record.get("module"))
    own: dict[Key, Entry] = {}
    for raw in _mappings(record.get("findings")):
        if len(entries) + len(own) >= MAX_FINDINGS:
            view.faults.append(f"more than {MAX_FINDINGS} findings; the rest was left out")
            break
        entry = _entry(raw, module)
        own[entry.key] = min(entry, own.get(entry.key, entry), key=_order)
    entries.update(own)
    for raw in _mappings(record.get("metrics")):
        value = _number(raw.get("value"))
        if value is not None:
            view.metrics[(line(raw.get("name")), line(raw.get("item")))] = (value, line(raw.get("unit")))
    for raw in _mappings(record.get("sources"))[:MAX_SOURCES]:
        address = address_of(line(raw.get("address")))
        counts = (_whole(raw.get("failures")), _whole(raw.get("blocked")), _whole(raw.get("attacks")))
        # Whoever did nothing but ask for pages is a visitor, wherever else he is seen.
        if address and any(counts):
            known = view.sources.get(address, (0, 0, 0))
            view.sources[address] = (known[0] + counts[0], known[1] + counts[1], known[2] + counts[2])
    fault = record.get("fault")
    if fault:
        view.faults.append(line(f"{module}: {fault}", limit=MAX_SUMMARY))
    if record.get("unreachable"):
        view.unreachable = True
    if not fault and not record.get("unreachable"):
        view.answered.add(module)
    if record.get("kind") == "repair" and not fault:
        view.repairs.append(_repair(record, module))
    view.check_mode = view.check_mode or record.get("check_mode") is True
    view.seconds += _number(record.get("seconds")) or 0.0
    view.last_time = max(view.last_time, line(record.get("time")))


def _entry(raw: Mapping[str, Any], module: str) -> Entry:
    status = raw.get("status")
    summary = line(raw.get("summary"), limit=MAX_SUMMARY)
    if not isinstance(status, str) or status not in RANK:
        summary = f"status {line(status)!r} is none: {summary}"
        status = "unknown"
    levels = raw.get("levels")
    suppressed = raw.get("suppressed")
    return Entry(
        check=line(raw.get("check")) or "maintenance.unnamed",
        item=line(raw.get("item")),
        status=status,
        summary=summary,
        module=module,
        value=_number(raw.get("value")),
        unit=line(raw.get("unit")),
        levels=_levels(levels) if isinstance(levels, dict) else {},
        evidence=_lines(raw.get("evidence")),
        remedy=line(raw.get("remedy"), limit=MAX_SUMMARY),
        owners=_lines(raw.get("owners")),
        suppressed={key: line(suppressed.get(key)) for key in ("owner", "reason", "until")}
        if isinstance(suppressed, dict)
        else None,
    )


def _levels(raw: Mapping[str, Any]) -> dict[str, Any]:
    levels: dict[str, Any] = {
        name: limit for name in ("info", "warning", "critical") if (limit := _number(raw.get(name))) is not None
    }
    if levels:
        levels["direction"] = "lower" if raw.get("direction") == "lower" else "upper"
    return levels


def _repair(record: Mapping[str, Any], module: str) -> Repair:
    window, override = record.get("window"), record.get("override")
    return Repair(
        module=module,
        task=line(record.get("task")),
        check_mode=record.get("check_mode") is True,
        plan=[_plain(step) for step in _mappings(record.get("plan"))],
        applied=[_plain(step) for step in _mappings(record.get("applied"))],
        failures=[_plain(step) for step in _mappings(record.get("failures"))],
        kept=[_plain(step) for step in _mappings(record.get("kept"))],
        window=line(window.get("name")) if isinstance(window, dict) else "",
        override=line(f"{override.get('reason')} ({override.get('by')})") if isinstance(override, dict) else "",
    )


def _plain(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step with clean text; what is nested (estimate, before, after) is kept one level deep."""
    return {line(key): _shallow(value) for key, value in list(step.items())[:20]}


def _shallow(value: object) -> Any:
    if isinstance(value, dict):
        return {line(key): _leaf(inner) for key, inner in list(value.items())[:20]}
    return _leaf(value)


def _leaf(value: object) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else line(value)


def _lines(raw: object) -> Sequence[str]:
    return [line(piece) for piece in raw[:MAX_EVIDENCE]] if raw and isinstance(raw, list) else ()


def _listed(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _mappings(raw: object) -> list[Mapping[str, Any]]:
    return [each for each in _listed(raw) if isinstance(each, dict)]


def address_of(text: str) -> str:
    """An IP address in its usual spelling; empty for anything else."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _whole(raw: object) -> int:
    return max(0, int(_number(raw) or 0))


def _number(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    return raw if -1e300 < raw < 1e300 else None
