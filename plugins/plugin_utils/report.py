# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the journal of a run to everything people and machines read of it.

The journal is read as a stream, one host at a time: history, sums and the streamed forms take each host as it comes,
and the HTML report reads the hosts it shows in detail once more. An output that fails does not keep the others from
being written; the run fails afterwards, with a sentence for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import HostView, fold, without_record
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import cadence as cadences
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.engine import parse_url
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.store import (
    BATCH,
    History,
    HistoryError,
    RunFacts,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.notify import (
    Notices,
    Send,
    apprise_send,
    post,
    standing_since,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile, point_latest
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Checklist, Ticked
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.document import JsonReport
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.junit import JunitReport
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.markdown import MarkdownReport
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.page import HtmlReport, Trends
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.prometheus import PrometheusReport

#: Format and the end of its file's name.
FORMATS: Mapping[str, str] = {
    "json": "json",
    "markdown": "md",
    "prometheus": "prom",
    "junit": "xml",
    "html": "html",
}
HISTORY_FILE = "history.db"
#: Up to so many hosts the numbers that are fine get their plots too.
_SMALL = 30


@dataclass(frozen=True)
class Request:
    """What is wanted, all of it checked before."""

    reports: Path
    run: str
    formats: tuple[str, ...] = tuple(FORMATS)
    detail_hosts: int = 100
    digest: bool = False
    retention_days: int = 400
    expected_cadences: Mapping[str, float] = field(default_factory=dict)
    fail_on: str = "critical"
    store_url: str = ""
    contacts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remind_hours: int = 0
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    textfile_dir: Path | None = None
    #: What went wrong before the report was begun, a sentence each.
    problems: Sequence[str] = ()

    @property
    def journal(self) -> Path:
        return self.reports / "journal"

    @property
    def folder(self) -> Path:
        return self.reports / self.run


@dataclass
class Outcome:
    """What came of it. ``problems`` are outputs that failed; ``failed`` says why the run fails, or nothing."""

    fleet: Fleet
    paths: dict[str, str]
    problems: list[str]
    notices: list[dict[str, Any]]
    cadences: list[dict[str, Any]]
    failed: list[str]


class Output(Protocol):
    """A form of the report under way."""

    file: OutputFile

    def add(self, view: HostView) -> None:
        """Take in a host, in the order of the journal."""

    def end(self, fleet: Fleet, checklist: Iterable[Ticked], cadences: Iterable[Mapping[str, Any]]) -> None:
        """Say the rest; the sums are complete."""


class Production:
    """One report being made."""

    def __init__(self, request: Request, *, clock: Clock, send: Send) -> None:
        self.request = request
        self.clock = clock
        self.send = send
        self.store = parse_url(request.store_url or f"sqlite:///{request.reports / HISTORY_FILE}")
        self.run = RunInfo.of(request.run, journal.read_header(request.journal, request.run))
        self.facts = RunFacts(request.run, self.run.cadence, self.run.started, self.run.controller)
        self.problems: list[str] = list(request.problems)
        self.paths: dict[str, str] = {}
        self.fleet = Fleet(self.run)
        self.checklist = Checklist(self.run.cadence)
        self.notices = Notices(request.contacts, remind_hours=request.remind_hours, now=self.run.started)
        self.history: History | None = None
        self.outputs: dict[str, Output] = {}
        self.views: dict[str, str] = {}

    def make(self) -> Outcome:
        """Read, compare, write, send, close."""
        self._open_history()
        self._open_outputs()
        try:
            self._read()
            self.fleet.sort()
            judged = self._judge_cadences()
            self._finish_outputs(judged)
        finally:
            for output in self.outputs.values():
                output.file.discard()
        sent = self._notify()
        self._attempt("The journal of this run cannot be closed", self._close)
        if self.history:
            self.history.close()
        return Outcome(
            fleet=self.fleet,
            paths=self.paths,
            problems=self.problems,
            notices=sent,
            cadences=judged,
            failed=self._verdict(),
        )

    # --- reading ---------------------------------------------------------------------------------------------

    def _read(self) -> None:
        batch: list[HostView] = []
        for view in self._hosts():
            batch.append(view)
            if len(batch) == BATCH:
                self._take(batch)
                batch = []
        if batch:
            self._take(batch)

    def _hosts(self) -> Iterator[HostView]:
        seen: set[str] = set()
        for host in journal.hosts(self.request.journal, self.request.run):
            seen.add(host)
            yield self._view(host)
        for host in self.run.expected:
            if host not in seen:
                yield without_record(host)

    def _view(self, host: str) -> HostView:
        return fold(host, journal.read_host(self.request.journal, self.request.run, host))

    def _take(self, batch: list[HostView]) -> None:
        self._with_history(lambda history: self._compare(history, batch))
        looks = self._looks(batch)
        for view in batch:
            self.fleet.add(view)
            self.checklist.add(view)
            self.notices.add(view, looks=looks.get(view.host, ()))
            for name in list(self.outputs):
                self._attempt_output(name, partial(_add, view))

    def _compare(self, history: History, batch: list[HostView]) -> None:
        if self.run.check_mode:
            for view in batch:
                history.recall(self.facts, view)
        else:
            history.absorb(self.facts, batch, retention_days=self.request.retention_days)

    def _looks(self, batch: list[HostView]) -> dict[str, list[int]]:
        """When the hosts whose alarms stay were looked at before; asked for where there are reminders."""
        looks: dict[str, list[int]] = {}
        began = {view.host: at for view in batch if (at := standing_since(view)) is not None}
        if began and self.request.contacts and self.request.remind_hours:
            self._with_history(lambda history: looks.update(history.looks(self.facts, began)))
        return looks

    def _detail(self, host: str) -> tuple[HostView, Trends]:
        """A host once more, with what the history says of it and of its numbers."""
        view = self._view(host) if host not in self._missing() else without_record(host)
        trends: Trends = {}

        def ask(history: History) -> None:
            nonlocal trends
            history.recall(self.facts, view)
            every = len(self.fleet.rows) <= _SMALL
            keys = [entry.key for entry in view.entries if entry.value is not None and (every or entry.alarming)]
            trends = history.trends(host, keys, until=self.run.started)

        self._with_history(ask)
        return view, trends

    def _missing(self) -> set[str]:
        return {row.host for row in self.fleet.rows if not row.recorded}

    # --- history ---------------------------------------------------------------------------------------------

    def _open_history(self) -> None:
        try:
            self.history = History(self.store)
        except MaintenanceError as error:
            self.problems.append(str(error))

    def _with_history(self, ask: Callable[[History], None]) -> None:
        """Ask the history; once it fails it is left alone, for the report matters more."""
        if self.history is None:
            return
        try:
            ask(self.history)
        except HistoryError as error:
            self.problems.append(str(error))
            self.history.close()
            self.history = None

    def _judge_cadences(self) -> list[dict[str, Any]]:
        judged: list[dict[str, Any]] = []

        def ask(history: History) -> None:
            if not self.run.check_mode:
                history.record_run(
                    self.facts,
                    status=self.fleet.status,
                    hosts=len(self.fleet.rows),
                    retention_days=self.request.retention_days,
                )
            judged.extend(cadences.judge(history.run_times(), expected=self.request.expected_cadences, now=self._now()))

        self._with_history(ask)
        return judged

    def _now(self) -> int:
        return int(self.clock.now().timestamp())

    # --- outputs ---------------------------------------------------------------------------------------------

    def _open_outputs(self) -> None:
        makers: dict[str, Callable[[Path], Output]] = {
            "json": lambda path: JsonReport(path, self.run),
            "markdown": lambda path: MarkdownReport(path, self.run),
            "prometheus": lambda path: PrometheusReport(path, self.run),
            "junit": lambda path: JunitReport(path, self.run),
            "html": lambda path: HtmlReport(
                path,
                self.run,
                detail=self._detail,
                detail_hosts=self.request.detail_hosts,
                zone=self.request.zone,
            ),
        }
        for name in FORMATS:
            if name in self.request.formats:
                self._attempt(_cannot(name), partial(self._open, name, makers[name]))

    def _open(self, name: str, make: Callable[[Path], Output]) -> None:
        self.outputs[name] = make(self._path(name))

    def _path(self, name: str) -> Path:
        return self.request.folder / f"report.{FORMATS[name]}"

    def _finish_outputs(self, judged: list[dict[str, Any]]) -> None:
        newest = journal.runs(self.request.journal)[-1:] == [self.request.run]
        for name in list(self.outputs):
            self._attempt_output(name, partial(self._finish, name, judged, newest))

    def _finish(self, name: str, judged: list[dict[str, Any]], newest: bool, output: Output) -> None:
        if isinstance(output, HtmlReport):
            output.end(self.fleet, self.checklist.boxes(), judged, notes=self.problems)
            for page in output.pages:
                page.publish()
        else:
            output.end(self.fleet, self.checklist.boxes(), judged)
        output.file.publish()
        self.paths[name] = str(self._path(name))
        if newest:
            self._latest(name, output)
        if name == "prometheus" and self.request.textfile_dir:
            name_there = "-".join(("fleetcare-maintenance", *filter(None, [self.run.cadence]))) + ".prom"
            _copy(self._path(name), self.request.textfile_dir / name_there, mode=0o644)

    def _latest(self, name: str, output: Output) -> None:
        latest = self.request.reports / f"latest.{FORMATS[name]}"
        if isinstance(output, HtmlReport) and output.pages:
            # One folder up, links to further pages lead into the run's folder. Text of hosts cannot hold the marker,
            # for its quotes are escaped.
            _copy(self._path(name), latest, replace=('href="hosts-', f'href="{self.request.run}/hosts-'))
        else:
            point_latest(self._path(name), latest)

    def _attempt_output(self, name: str, work: Callable[[Output], None]) -> None:
        output = self.outputs[name]
        if not self._attempt(_cannot(name), lambda: work(output)):
            output.file.discard()
            del self.outputs[name]

    def _attempt(self, sentence: str, work: Callable[[], object]) -> bool:
        try:
            work()
        except OSError as error:
            self.problems.append(f"{sentence}: {clean(error)}.")
        except MaintenanceError as error:
            self.problems.append(f"{sentence}: {error}")
        else:
            return True
        return False

    # --- the end ---------------------------------------------------------------------------------------------

    def _notify(self) -> list[dict[str, Any]]:
        if self.run.check_mode or not self.request.contacts:
            return []
        report = self.paths.get("html") or next(iter(self.paths.values()), "none could be written")
        notices = self.notices.compose(self.fleet, digest=self.request.digest, report=report)
        return post(notices, self.request.contacts, send=self.send, clock=self.clock)

    def _close(self) -> None:
        if not (self.request.journal / self.request.run / chain.HEAD_FILE).exists():
            journal.close(self.request.journal, self.request.run)

    def _verdict(self) -> list[str]:
        failed = list(self.problems)
        if self.request.fail_on == "never":
            return failed
        if RANK[self.fleet.status] >= RANK[self.request.fail_on]:
            failed.append(
                f"The worst status is {self.fleet.status}, and maintenance_fail_on is {self.request.fail_on}."
            )
        if self.fleet.fault_total:
            host, fault = self.fleet.faults[0]
            more = f", and {self.fleet.fault_total - 1} more" if self.fleet.fault_total > 1 else ""
            failed.append(f"Not everything could run: {host}: {fault}{more}.")
        missing = sorted(self._missing())
        if missing:
            failed.append(f"{counted(len(missing), 'host')} left no record, {clean(missing[0])} among them.")
        return failed


def produce(request: Request, *, clock: Clock, send: Send = apprise_send) -> Outcome:
    """Make the report of a run. Raises MaintenanceError only where there is no run to report on."""
    return Production(request, clock=clock, send=send).make()


def _add(view: HostView, output: Output) -> None:
    output.add(view)


def _cannot(name: str) -> str:
    return f"The {name} report cannot be written"


def _copy(source: Path, target: Path, *, mode: int = 0o640, replace: tuple[str, str] = ("", "")) -> None:
    """A copy that is there whole or not at all, with one text replaced by another in every line."""
    copy = OutputFile(target, mode=mode)
    try:
        with source.open(encoding="utf-8", newline="") as stream:
            for text in stream:
                copy.write(text.replace(*replace) if replace[0] else text)
        copy.publish()
    finally:
        copy.discard()
