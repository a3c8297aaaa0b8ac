# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over all its hosts, added up one host at a time; what is kept does not grow with the findings of the fleet."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, worst
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.crossings import Crossings
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import (
    SUPPRESSED,
    Entry,
    HostView,
    line,
)

Key = TypeVar("Key")
Sum = TypeVar("Sum")

#: What a report lists of a kind before it says how many more there are.
SHOWN = 100
#: Different reasons that are told apart before they are put under one heading.
_KINDS = 300
#: Changes worth telling, the most urgent first.
CHANGES = ("new", "worse", "unseen", "better", "resolved", "gone")


@dataclass(frozen=True)
class RunInfo:
    """What ``run.json`` says of the run; ``started`` in Unix seconds."""

    id: str
    cadence: str
    started: int
    started_text: str
    controller: str
    check_mode: bool
    expected: tuple[str, ...]
    by: str = ""
    ansible: str = ""
    limit: str = ""

    @classmethod
    def of(cls, run: str, header: Mapping[str, Any]) -> RunInfo:
        """From a header, whatever may be missing in it."""
        started_text = line(header.get("started"))
        try:
            started = int(parse_time(started_text, option="started").timestamp())
        except MaintenanceError:
            started, started_text = 0, ""
        hosts = header.get("hosts")
        return cls(
            id=run,
            cadence=line(header.get("cadence")),
            started=started,
            started_text=started_text,
            controller=line(header.get("controller")),
            check_mode=header.get("check_mode") is True,
            expected=tuple(line(host) for host in hosts) if isinstance(hosts, list) else (),
            by=line(header.get("sudo_user") or header.get("user")),
            ansible=line(header.get("ansible")),
            limit=line(header.get("limit")),
        )


@dataclass(slots=True)
class HostRow:
    """One host in one line."""

    host: str
    status: str
    counts: dict[str, int]
    changes: dict[str, int]
    repaired: int
    failures: int
    faults: int
    unreachable: bool
    recorded: bool

    @property
    def rank(self) -> tuple[bool, int, int, int, str]:
        """Sorts worst first, then by how much is wrong."""
        wrong = sum(amount * 4 ** RANK[status] for status, amount in self.counts.items() if RANK.get(status, 0) > 1)
        return (not self.wants_eyes, -RANK[self.status], -self.changes.get("new", 0), -wrong, self.host)

    @property
    def wants_eyes(self) -> bool:
        return RANK[self.status] >= RANK["info"] or bool(self.failures or self.faults)


@dataclass(slots=True)
class Some:
    """The first few of many: ``total`` findings on ``host_total`` hosts, taken in a host at a time."""

    total: int = 0
    hosts: list[str] = field(default_factory=list)
    host_total: int = 0
    newest: str = ""
    #: The statuses it was seen with.
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, host: str, status: str = "") -> None:
        self.total += 1
        if status:
            self.statuses[status] += 1
        if host != self.newest:
            self.newest = host
            self.host_total += 1
            if len(self.hosts) < 5:
                self.hosts.append(host)


@dataclass(slots=True)
class Unseen(Some):
    """What was skipped for one reason: by which checks, and what would un-skip it."""

    checks: set[str] = field(default_factory=set)
    remedies: set[str] = field(default_factory=set)

    def add_entry(self, host: str, entry: Entry) -> None:
        self.add(host)
        self.checks.add(entry.check)
        if entry.remedy:
            self.remedies.add(entry.remedy)


@dataclass(frozen=True, slots=True)
class Listed:
    """A finding in a list over several hosts."""

    host: str
    entry: Entry

    @property
    def rank(self) -> tuple[int, int, str, str, str]:
        fresh = self.entry.change is not None and self.entry.change.kind in ("new", "worse")
        return (-RANK[self.entry.status], 0 if fresh else 1, self.host, self.entry.check, self.entry.item)


class WorstFirst:
    """Keeps the worst ``limit`` of all that is put in, and counts the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[_Backwards, int, Listed]] = []
        self.total = 0

    def add(self, listed: Listed) -> None:
        self.total += 1
        entry = (_Backwards(listed.rank), self.total, listed)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def __iter__(self) -> Iterator[Listed]:
        return iter(sorted((listed for _rank, _number, listed in self._heap), key=lambda listed: listed.rank))

    @property
    def left_out(self) -> int:
        return self.total - len(self._heap)


@dataclass(frozen=True, slots=True)
class _Backwards:
    """A rank that compares the other way round, so that the heap's least is the least urgent."""

    rank: tuple[Any, ...]

    def __lt__(self, other: _Backwards) -> bool:
        return self.rank > other.rank

    def __gt__(self, other: _Backwards) -> bool:
        return self.rank < other.rank


class Fleet:
    """The sums of a run."""

    def __init__(self, run: RunInfo) -> None:
        self.run = run
        self.rows: list[HostRow] = []
        self.hosts: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.worst = WorstFirst(SHOWN)
        self.changes = {kind: WorstFirst(SHOWN) for kind in CHANGES}
        self.by_check: dict[str, Some] = {}
        #: By reason: one of them, such as a right that is missing, keeps many checks from looking.
        self.skipped: dict[str, Unseen] = {}
        self.suppressed: dict[tuple[str, str, str, str], Some] = {}
        self.repairs: dict[tuple[str, str], Counter[str]] = {}
        self.faults: list[tuple[str, str]] = []
        self.fault_total = 0
        self.first_hosts = 0
        self.compared = False
        self.last_time = ""
        self.crossings = Crossings()

    @property
    def status(self) -> str:
        """The worst of all hosts; ``skipped`` where there is none."""
        return worst(self.hosts)

    def add(self, view: HostView) -> None:
        """Take in one host."""
        status = view.status
        changes: Counter[str] = Counter()
        for entry in view.entries:
            self._add_entry(view.host, entry, changes)
        for entry in view.gone:
            changes["gone"] += 1
            self.changes["gone"].add(Listed(view.host, entry))
        kinds = {entry.change.kind for entry in view.entries if entry.change}
        self.compared = self.compared or bool(kinds)
        self.first_hosts += "first" in kinds
        self.hosts[status] += 1
        self.last_time = max(self.last_time, view.last_time)
        self._add_repairs(view)
        self.crossings.add(view)
        for fault in view.faults:
            self.add_fault(view.host, fault)
        counts = view.counts()
        self.findings.update(counts)
        self.rows.append(
            HostRow(
                host=view.host,
                status=status,
                counts=counts,
                changes=dict(changes),
                repaired=sum(len(repair.applied) for repair in view.repairs),
                failures=sum(len(repair.failures) for repair in view.repairs),
                faults=len(view.faults),
                unreachable=view.unreachable,
                recorded=view.recorded,
            )
        )

    def add_fault(self, host: str, fault: str) -> None:
        self.fault_total += 1
        if len(self.faults) < SHOWN:
            self.faults.append((host, fault))

    def sort(self) -> None:
        """Put the hosts in the order of the report; called once, after the last host."""
        self.rows.sort(key=lambda row: row.rank)

    def _add_entry(self, host: str, entry: Entry, changes: Counter[str]) -> None:
        standing = entry.standing
        if standing != "ok":
            if standing == "skipped":
                _bounded(self.skipped, entry.summary, "other reasons", Unseen).add_entry(host, entry)
            elif entry.suppressed:
                known = entry.suppressed
                key = (entry.check, known["owner"], known["reason"], known["until"])
                other = (entry.check, "several", "other reasons", "")
                _bounded(self.suppressed, key, other, Some).add(host, entry.status)
            else:
                listed = Listed(host, entry)
                self.worst.add(listed)
                _bounded(self.by_check, entry.check, "other checks", Some).add(host, entry.status)
        change = entry.change
        if change is not None and change.kind in self.changes and standing != SUPPRESSED:
            changes[change.kind] += 1
            self.changes[change.kind].add(Listed(host, entry))

    def _add_repairs(self, view: HostView) -> None:
        for repair in view.repairs:
            for kind, steps in (("planned", repair.plan), ("applied", repair.applied), ("failed", repair.failures)):
                for step in steps:
                    key = (repair.module, str(step.get("action", "")))
                    if key in self.repairs or len(self.repairs) < _KINDS:
                        self.repairs.setdefault(key, Counter())[kind] += 1


def _bounded(table: dict[Key, Sum], key: Key, other: Key, begin: Callable[[], Sum]) -> Sum:
    """The entry of a key; once a table has its fill of different keys, new ones share the entry of ``other``."""
    return table.setdefault(key if key in table or len(table) < _KINDS else other, begin())
