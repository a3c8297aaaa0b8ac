# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report for people: one HTML file that needs nothing else; for large fleets further pages beside it.

Host text meets Jinja with autoescape and never Ansible's templar. The content security policy lets nothing be
loaded and nothing run but the one style and the one script of ours, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, STATUSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.crossings import SEVERAL
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, HostRow, RunInfo, Some
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Entry, HostView, Key
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile, Part
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Ticked
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.document import SCHEMA
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.spark import sparkline, stacked
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.words import headline, title

TEMPLATES = Path(__file__).parent / "templates"
#: A page ends with the host that takes it past this many characters.
PAGE_CHARACTERS = 2_500_000
#: Hosts on a further page when the first is to show none.
_PAGE_HOSTS = 100
_TOP = 40
_CHANGED = 12
_ROWS = 1_000
_NAMES = 10_000
#: Findings that are fine and are listed for a host on the first page; the JSON report has them all.
_FINE = 250
#: Hosts whose details stand open when the page is opened.
_UNFOLDED = 3

Trends = Mapping[Key, Sequence[tuple[int, float]]]
Detail = Callable[[str], tuple[HostView, Trends]]

_CHANGE_WORDS = (
    ("new", "New"),
    ("worse", "Worse"),
    ("unseen", "No longer looked at"),
    ("better", "Better"),
    ("resolved", "Resolved"),
    ("gone", "Gone"),
)
_TICK_TONE = {"done": "ok", "failed": "critical", "skipped": "skipped", "not looked at": "skipped"}


def _compiled() -> FileSystemBytecodeCache | None:
    """Where templates stay compiled from run to run: a folder of this user alone, which Jinja2 makes and checks."""
    try:
        return FileSystemBytecodeCache()
    except (RuntimeError, OSError):
        return None


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=_compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@cache
def policy() -> str:
    """The content security policy of every page."""
    return (
        f"default-src 'none'; style-src {_hash(_asset('style.css'))}; script-src {_hash(_asset('filter.js'))}; "
        "base-uri 'none'; form-action 'none'"
    )


class HtmlReport:
    """Draws ``report.html`` and, past ``detail_hosts``, ``hosts-002.html`` and so on beside it."""

    def __init__(self, path: Path, run: RunInfo, *, detail: Detail, detail_hosts: int, zone: tzinfo) -> None:
        self.file = OutputFile(path)
        self.pages: list[OutputFile] = []
        self._run = run
        self._detail = detail
        self._limit = detail_hosts
        self._zone = zone
        self._links: dict[str, str] = {}
        self._template: Callable[[str], Template] = _environment().get_template

    def add(self, view: HostView) -> None:
        """Hosts are drawn worst first, so not before all are known."""

    def end(
        self,
        fleet: Fleet,
        checklist: Iterable[Ticked],
        cadences: Iterable[Mapping[str, Any]],
        notes: Sequence[str] = (),
    ) -> None:
        """Draw everything; ``notes`` are what went wrong with the report itself."""
        ticked, cadence_list = list(checklist), list(cadences)
        body = Part(self.file.path.parent)
        placed = self._details(fleet, body)
        self._overview(fleet, ticked, cadence_list, notes)
        self.file.append(body)
        body.close()
        self._closing(fleet, ticked, cadence_list, placed)

    # --- hosts -----------------------------------------------------------------------------------------------

    def _details(self, fleet: Fleet, body: Part) -> set[str]:
        """Draw the hosts, first into ``body`` and then onto pages; returns those that stand on the first page."""
        here: set[str] = set()
        size = on_page = 0
        target: Part | OutputFile = body
        for number, row in enumerate(fleet.rows):
            if size > PAGE_CHARACTERS or on_page >= (self._limit if target is body else self._limit or _PAGE_HOSTS):
                if not row.wants_eyes:
                    continue
                target, size, on_page = self._turn(target), 0, 0
            anchor = f"h{number + 1}"
            first = target is body
            unfolded = number < _UNFOLDED and row.wants_eyes
            text = self._host(row, anchor=anchor, unfolded=unfolded, fine=_FINE if first else 0)
            target.write(text)
            size, on_page = size + len(text), on_page + 1
            page = "" if first else self.pages[-1].path.name
            self._links[row.host] = f"{page}#{anchor}"
            if first:
                here.add(row.host)
        self._finish_page(target)
        return here

    def _turn(self, target: Part | OutputFile) -> OutputFile:
        self._finish_page(target)
        number = len(self.pages) + 2
        page = OutputFile(self.file.path.with_name(f"hosts-{number:03d}.html"))
        self.pages.append(page)
        page.write(
            self._template("page.html.j2").render(
                **self._frame(), title=title(self._run), number=number, started=self._moment(self._run.started)
            )
        )
        return page

    def _finish_page(self, target: Part | OutputFile) -> None:
        if isinstance(target, OutputFile):
            target.write(self._template("page_closing.html.j2").render(**self._frame()))

    def _host(self, row: HostRow, *, anchor: str, unfolded: bool, fine: int) -> str:
        view, trends = self._detail(row.host)
        groups: dict[str, list[Entry]] = {"suppressed": [], "skipped": [], "ok": [], "alarm": []}
        for entry in view.entries:
            groups["alarm" if entry.alarming else entry.standing].append(entry)
        return self._template("host.html.j2").render(
            view=view,
            status=row.status,
            anchor=anchor,
            unfolded=unfolded,
            said=describe(row),
            trends=trends,
            alarms=groups["alarm"],
            suppressed=groups["suppressed"],
            skipped=groups["skipped"],
            fine=groups["ok"][:fine],
            fine_total=len(groups["ok"]),
            repairs=list(steps(view)),
            spark=lambda points, entry: sparkline(points, _limits(entry), unit=entry.unit),
            moment=self._moment,
        )

    # --- the rest --------------------------------------------------------------------------------------------

    def _frame(self) -> dict[str, Any]:
        return {
            "run": self._run,
            "csp": policy(),
            "style": _asset("style.css"),
            "script": _asset("filter.js"),
            "schema": SCHEMA,
        }

    def _overview(
        self, fleet: Fleet, ticked: list[Ticked], cadences: list[Mapping[str, Any]], notes: Sequence[str]
    ) -> None:
        by_check = sorted(fleet.by_check.items(), key=lambda pair: (-_weight(pair[1]), pair[0]))
        text = self._template("overview.html.j2").render(
            **self._frame(),
            title=title(self._run),
            headline=headline(fleet),
            started=self._moment(self._run.started),
            took=_took(fleet),
            notes=notes,
            cadences=cadences,
            bars=_bars(fleet),
            fleet=fleet,
            top=list(fleet.worst)[:_TOP],
            by_check=by_check[:_TOP],
            changed=list(_changed(fleet)),
            checklist=ticked,
            links=_Links(self._links),
            age=self._age,
            few=few,
            statuses=statuses,
        )
        self.file.write(text)

    def _closing(self, fleet: Fleet, ticked: list[Ticked], cadences: list[Mapping[str, Any]], placed: set[str]) -> None:
        others = [row for row in fleet.rows if row.host not in placed and row.wants_eyes]
        calm = [row.host for row in fleet.rows if row.host not in placed and not row.wants_eyes]
        guides: dict[str, list[Ticked]] = {}
        for box in ticked:
            guides.setdefault(box.box.guide, []).append(box)
        several = fleet.crossings.several()
        text = self._template("closing.html.j2").render(
            **self._frame(),
            others=others[:_ROWS],
            others_total=len(others),
            pages=[page.path.name for page in self.pages],
            calm=calm[:_NAMES],
            calm_total=len(calm),
            said=describe,
            links=self._links,
            repairs=sorted(fleet.repairs.items()),
            crossings=several[:_TOP],
            crossings_total=len(several),
            least=SEVERAL,
            skipped=sorted(fleet.skipped.items(), key=lambda pair: (-pair[1].total, pair[0]))[:_TOP],
            suppressed=sorted(fleet.suppressed.items()),
            checklist=list(guides.items()),
            cadences=cadences,
            few=few,
            statuses=statuses,
            tone=lambda box: _TICK_TONE[box.state],
        )
        self.file.write(text)

    def _moment(self, at: int) -> str:
        if not at:
            return ""
        return datetime.fromtimestamp(at, tz=self._zone).strftime("%Y-%m-%d %H:%M %Z")

    def _age(self, since: int) -> str:
        seconds = self._run.started - since
        return duration(seconds) if seconds >= 60 else "now"


class _Links(dict[str, str]):
    """Links by host; a host without details has none."""

    def __missing__(self, key: str) -> str:
        return ""


def describe(row: HostRow) -> str:
    """A host in a few words: what is wrong and what is new."""
    if not row.recorded:
        return "left no record"
    parts = [f"{row.counts[status]} {status}" for status in reversed(STATUSES) if row.counts.get(status)]
    if row.counts.get("suppressed"):
        parts.append(f"{row.counts['suppressed']} suppressed")
    for kind, word in (("new", "new"), ("worse", "worse"), ("resolved", "resolved")):
        if row.changes.get(kind):
            parts.append(f"{row.changes[kind]} {word}")
    if row.repaired:
        parts.append(counted(row.repaired, "repair"))
    if row.failures:
        parts.append(counted(row.failures, "failed repair"))
    if row.faults:
        parts.append(counted(row.faults, "fault"))
    return ", ".join(parts)


def steps(view: HostView) -> Iterable[dict[str, str]]:
    """The repairs of a host as rows: done, failed, planned only, left alone."""
    for repair in view.repairs:
        override = f"outside its window by override: {repair.override}" if repair.override else ""
        for done in repair.applied:
            yield _step(done, "done", "ok", reason=override)
        for failed in repair.failures:
            yield _step(failed, "failed", "critical", reason=str(failed.get("error", "")))
        if repair.check_mode:
            for planned in repair.plan:
                yield _step(planned, "would do", "info", reason=str(planned.get("reason", "")))
        for kept in repair.kept:
            yield _step(kept, "left alone", "skipped", reason=str(kept.get("reason", "")))


def _step(step: Mapping[str, Any], outcome: str, tone: str, *, reason: str) -> dict[str, str]:
    return {
        "outcome": outcome,
        "tone": tone,
        "action": str(step.get("action", "")),
        "target": str(step.get("target", "")),
        "reason": reason,
        "before": facts(step.get("before")),
        "after": facts(step.get("after")),
    }


def facts(value: object) -> str:
    """``dead_rows 81230, size 12`` of a mapping."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {inner if isinstance(inner, str) else json.dumps(inner)}" for key, inner in value.items()
        )
    return "" if value is None else str(value)


def few(some: Some) -> str:
    """The first hosts of several."""
    more = some.host_total - len(some.hosts)
    return ", ".join(some.hosts) + (f" and {more} more" if more > 0 else "")


def statuses(some: Some) -> list[tuple[str, int]]:
    """Statuses with their amounts, worst first."""
    return [(status, some.statuses[status]) for status in reversed(STATUSES) if some.statuses[status]]


def _weight(some: Some) -> int:
    return sum(amount * 100 ** RANK[status] for status, amount in some.statuses.items())


def _limits(entry: Entry) -> dict[str, float]:
    return {name: limit for name, limit in entry.levels.items() if name in RANK}


def _bars(fleet: Fleet) -> list[dict[str, Any]]:
    rows: list[tuple[str, Counter[str]]] = [
        (counted(len(fleet.rows), "host"), fleet.hosts),
        (counted(sum(fleet.findings.values()), "finding"), fleet.findings),
    ]
    order = ("ok", "suppressed", *STATUSES[1:])
    bars = []
    for name, amounts in rows:
        present = [(status, amounts[status]) for status in reversed(order) if amounts[status]]
        bars.append({"title": name, "svg": stacked(present), "amounts": present})
    return bars


def _changed(fleet: Fleet) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for kind, words in _CHANGE_WORDS:
        listed = fleet.changes[kind]
        if listed.total:
            yield kind, words, {"total": listed.total, "shown": list(listed)[:_CHANGED]}


def _took(fleet: Fleet) -> str:
    try:
        ended = parse_time(fleet.last_time, option="time")
    except MaintenanceError:
        return ""
    started = datetime.fromtimestamp(fleet.run.started, tz=UTC)
    seconds = (ended - started).total_seconds()
    return duration(round(seconds)) if fleet.run.started and seconds >= 1 else ""
