# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides' checklists, ticked by evidence: a box is done when every question behind it was asked and is fine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Entry, HostView
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES

#: Findings of the gate and of the report that leave questions open: of a whole host, or of one module.
_HOST_GAPS = ("maintenance.reachable", "maintenance.record")
_MODULE_GAP = "maintenance.fault"
CAMPUS = "Smart Campus"
LIBRARY = "Smart Library"


@dataclass(frozen=True)
class Box:
    """One box. Each need is a set of alternatives (check id globs), and every need has to be met."""

    guide: str
    cadence: str
    title: str
    needs: tuple[tuple[str, ...], ...]

    def asks(self, subject: str) -> bool:
        """Whether some need is about a subject; empty stands for all subjects."""
        return not subject or any(glob.startswith(f"{subject}.") for need in self.needs for glob in need)


def _box(guide: str, cadence: str, title: str, *needs: str) -> Box:
    return Box(guide, cadence, title, tuple(tuple(need.split(" | ")) for need in needs))


BOXES: tuple[Box, ...] = (
    _box(CAMPUS, "daily", "Check application health", "web.*", "services.* | docker.container*"),
    _box(CAMPUS, "daily", "Review error logs", "logs.error*", "logs.http_*"),
    _box(CAMPUS, "daily", "Monitor disk space", "host.disk_bytes", "host.disk_inodes"),
    _box(
        CAMPUS,
        "daily",
        "Check database connections",
        "postgresql.connections | mysql.connections",
        "postgresql.long_query | mysql.long*",
    ),
    _box(
        CAMPUS,
        "weekly",
        "Comprehensive health check",
        "web.*",
        "services.* | docker.container*",
        "certificates.*",
        "host.*",
    ),
    _box(CAMPUS, "weekly", "Log analysis and cleanup", "logs.error*", "logs.rotation*"),
    _box(
        CAMPUS,
        "weekly",
        "Performance review",
        "web.latency",
        "host.cpu* | host.load*",
        "host.memory*",
        "postgresql.statements* | postgresql.slow* | mysql.statements* | mysql.slow*",
    ),
    _box(CAMPUS, "weekly", "Security review", "logs.auth*", "logs.http_*", "logs.firewall* | firewall.*"),
    _box(CAMPUS, "monthly", "System updates", "packages.*", "node.*"),
    _box(
        CAMPUS,
        "monthly",
        "Database maintenance",
        "postgresql.vacuum* | mysql.table*",
        "postgresql.size | mysql.size*",
        "postgresql.analyze* | postgresql.statistics* | mysql.statistics*",
    ),
    _box(CAMPUS, "monthly", "Backup verification", "backups.*"),
    _box(CAMPUS, "monthly", "SSL certificate check", "certificates.*"),
    _box(
        CAMPUS,
        "monthly",
        "Performance optimization",
        "postgresql.index* | mysql.index*",
        "postgresql.cache* | mysql.buffer*",
        "postgresql.statements* | postgresql.slow* | mysql.statements* | mysql.slow*",
    ),
    _box(
        CAMPUS, "quarterly", "Security audit", "security.*", "node.audit* | node.vulnerab*", "logs.http_*", "firewall.*"
    ),
    _box(CAMPUS, "quarterly", "Capacity planning", "capacity.*", "postgresql.*_growth | mysql.*growth*"),
    _box(CAMPUS, "quarterly", "Disaster recovery testing", "backups.restore*"),
    _box(CAMPUS, "quarterly", "Documentation review", "compliance.docs*"),
    _box(LIBRARY, "daily", "Log Review", "logs.error*", "logs.auth*"),
    _box(LIBRARY, "daily", "Backup Verification", "backups.*"),
    _box(LIBRARY, "daily", "Health Check", "web.*", "services.*", "mysql.* | postgresql.*", "host.disk_bytes"),
    _box(LIBRARY, "daily", "Performance Metrics", "host.cpu* | host.load*", "host.memory*", "web.latency"),
    _box(LIBRARY, "daily", "Security Scan", "security.* | node.audit* | node.vulnerab*"),
    _box(LIBRARY, "weekly", "Database Optimization", "mysql.* | postgresql.*"),
    _box(LIBRARY, "weekly", "Dependency Updates", "node.*"),
    _box(LIBRARY, "weekly", "System Updates", "packages.*"),
    _box(LIBRARY, "weekly", "Backup Testing", "backups.restore*"),
    _box(LIBRARY, "weekly", "Monitoring Review", "capacity.alert* | maintenance.alert*"),
    _box(LIBRARY, "weekly", "Capacity Planning", "capacity.*"),
    _box(LIBRARY, "monthly", "Full System Backup", "backups.*"),
    _box(LIBRARY, "monthly", "Security Audit", "security.*", "firewall.*"),
    _box(LIBRARY, "monthly", "Performance Tuning", "mysql.* | postgresql.*", "web.latency"),
    _box(LIBRARY, "monthly", "Compliance Check", "compliance.*"),
    _box(LIBRARY, "monthly", "Disaster Recovery Test", "backups.restore*"),
)


@dataclass
class Evidence:
    """What was found for one need: how many findings of each standing, and the first that stand in the way."""

    standings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, host: str, entry: Entry) -> None:
        self.standings[entry.standing] += 1
        if entry.standing not in ("ok", "info"):
            self.examples.setdefault(entry.standing, f"{host}: {entry.check} {entry.item}: {entry.summary}")

    def add_fault(self, host: str, fault: str) -> None:
        """A host of which something is not known, without a finding that says so."""
        self.standings["unknown"] += 1
        self.examples.setdefault("unknown", f"{host}: {fault}")


@dataclass(frozen=True)
class Ticked:
    """A box with its answer: ``done``, ``failed``, ``skipped`` or ``not looked at``, and why in words."""

    box: Box
    state: str
    why: str

    @property
    def mark(self) -> str:
        return "x" if self.state == "done" else " "

    def as_dict(self) -> dict[str, str]:
        return {
            "guide": self.box.guide,
            "cadence": self.box.cadence,
            "title": self.box.title,
            "state": self.state,
            "why": self.why,
        }


class Checklist:
    """Collects evidence host by host for the boxes of a cadence; without a cadence, for all boxes."""

    def __init__(self, cadence: str, boxes: tuple[Box, ...] = BOXES) -> None:
        self._boxes = [box for box in boxes if not cadence or box.cadence == cadence]
        self._evidence: dict[tuple[str, ...], Evidence] = {
            need: Evidence() for box in self._boxes for need in box.needs
        }
        self._routes: dict[str, list[Evidence]] = {}
        #: By the subject that could not be looked at, empty for all of them.
        self._gaps: dict[str, Evidence] = {}

    def add(self, view: HostView) -> None:
        if view.faults and all(entry.check != _MODULE_GAP for entry in view.entries):
            self._gap("").add_fault(view.host, view.faults[0])
        for entry in view.entries:
            if entry.check in _HOST_GAPS:
                self._gap("").add(view.host, entry)
            elif entry.check == _MODULE_GAP:
                self._gap(MODULES[entry.item].subject if entry.item in MODULES else "").add(view.host, entry)
            route = self._routes.get(entry.check)
            if route is None:
                route = self._routes[entry.check] = [
                    evidence
                    for need, evidence in self._evidence.items()
                    if any(fnmatchcase(entry.check, glob) for glob in need)
                ]
            for evidence in route:
                evidence.add(view.host, entry)

    def boxes(self) -> Iterator[Ticked]:
        """The boxes in the order of the guides."""
        for box in self._boxes:
            gaps = [found for subject, found in self._gaps.items() if box.asks(subject)]
            yield judge(box, {need: self._evidence[need] for need in box.needs}, gaps)

    def _gap(self, subject: str) -> Evidence:
        return self._gaps.setdefault(subject, Evidence())


def judge(box: Box, evidence: Mapping[tuple[str, ...], Evidence], gaps: Sequence[Evidence] = ()) -> Ticked:
    """Whether a box may be ticked. What was skipped next to something fine is told, for it is not fine.

    ``gaps`` are hosts and modules without an answer: what is fine elsewhere says nothing of them.
    """
    merged: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for found in (*evidence.values(), *gaps):
        merged.update(found.standings)
        examples = {**found.examples, **examples}
    wrong = [status for status in ("critical", "unknown", "warning") if merged[status]]
    if wrong:
        said = ", ".join(f"{merged[status]} {status}" for status in wrong)
        return Ticked(box, "failed", f"{said}, such as {examples[wrong[0]]}")
    for need, found in evidence.items():
        if found.standings["ok"] + found.standings["info"] == 0:
            return _unmet(box, need, found)
    good = merged["ok"] + merged["info"]
    beside = [f"{merged[standing]} {standing}" for standing in ("skipped", "suppressed") if merged[standing]]
    return Ticked(box, "done", f"{counted(good, 'finding')} fine" + (f"; {', '.join(beside)}" if beside else ""))


def _unmet(box: Box, need: tuple[str, ...], found: Evidence) -> Ticked:
    asked = " or ".join(need)
    for standing in ("skipped", "suppressed"):
        if found.standings[standing]:
            return Ticked(box, "skipped", f"{asked} was {standing}, such as {found.examples[standing]}")
    return Ticked(box, "not looked at", f"not looked at in this run: {asked}")
