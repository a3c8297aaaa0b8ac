# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_review``: read what is new in every log that was asked for, and say what stands out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import CommandMissing
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import journald
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.checks import CHECKS as READING
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import MOST_FILES, live_logs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import (
    First,
    Trail,
    follow,
    joined,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import Place
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import judge, memory, options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.checks import CHECKS as REVIEW
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import (
    Digest,
    together,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.families import family
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import (
    FORMATS,
    Format,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.judge import Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.memory import Reach
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import Asked
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.probe import probe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.scan import digest_of

OWN = frozenset(check.id for check in (*READING, *REVIEW))
MOST_REVIEWS = 50
MOST_MARKS = 2 * MOST_FILES
JOURNAL = "journal"
#: How many entries or lines before its end a journal or a container's log is begun, which have no size to go by.
_FIRST_LINES: Mapping[str, int | None] = {"start": None, "end": 0}
_MANY = 10000

if TYPE_CHECKING:
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.containers import ContainerTrail
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql import MysqlTrail

    AnyTrail = Union[Trail, journald.JournalTrail, ContainerTrail, MysqlTrail]


@dataclass
class Round:
    """One review while it goes on: what the last one of this name left, and what this one found."""

    asked: Asked
    before: Mapping[str, Any]
    marks: dict[str, Any] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    digests: dict[str, Digest] = field(default_factory=dict)
    reaches: dict[str, Reach] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    #: Logs that are new under a glob of the last review, and named ones that are not there.
    appeared: set[str] = field(default_factory=set)
    absent: list[str] = field(default_factory=list)
    #: Whether servers log at all.
    proofs: list[Finding] = field(default_factory=list)
    #: Marks of logs that were read as pieces of others until now.
    moved: dict[str, Any] = field(default_factory=dict)
    #: Files that were looked at, and those that were too many for that.
    files: int = 0
    files_left: set[str] = field(default_factory=set)

    def take(self, source: str, digest: Digest, reach: Reach) -> None:
        """Files of one log, which have the date in their names, count together."""
        name = family(source)
        self.forms[name] = digest.form
        self.digests[name] = together(self.digests[name], digest) if name in self.digests else digest
        self.reaches[name] = self.reaches[name].and_of(reach) if name in self.reaches else reach

    def mark_of(self, source: str) -> Any:
        return self.moved.get(source) or self.before.get("marks", {}).get(source)

    def keep_mark(self, source: str) -> None:
        """What cannot be read now goes on from the same place when it can be."""
        if self.mark_of(source):
            self.marks[source] = self.mark_of(source)


def check(context: Context) -> Result:
    """Everything that was asked of this host's logs."""
    if not context.checks & OWN:
        wanted = ", ".join(one for one in CATALOGUE if one in OWN)
        raise OptionError("checks", context.params.get("checks"), f"globs that match some of {wanted}")
    asked = options.parse(context.params)
    result = Result()
    if asked.alive and "logs.alive" in context.checks:
        result.findings.append(probe(asked.alive, clock=context.clock, check_mode=context.check_mode))
    if context.checks & (OWN - {"logs.alive"}):
        _review(context, asked, result)
    elif asked.mysql:
        from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.servers import prove_all

        result.findings += prove_all(asked.mysql, least=asked.wanted.least)
    result.findings = [finding for finding in result.findings if finding.check in context.checks]
    return result


def _review(context: Context, asked: Asked, result: Result) -> None:
    reviews = context.memory.get("reviews")
    reviews = dict(reviews) if isinstance(reviews, dict) else {}
    before = reviews.get(asked.name)
    current = Round(asked, before if isinstance(before, dict) else {})
    no_journal = _no_journal() if asked.journal is not False else ""
    for entry in asked.files:
        _read_files(current, entry)
    if current.files_left:
        words = (
            f"{counted(len(current.files_left), 'log')} more than {MOST_FILES} were not read; name fewer in one review"
        )
        current.readings.append(Reading("files", words, "unknown"))
    if no_journal and asked.journal is None:
        # What is usual without a journal: a syslog daemon's files.
        syslog = [path for path in options.SYSLOG_FILES if os.path.lexists(path)]
        _read_files(current, options.Files(options.SYSLOG_FILES, usual=True))
        if not syslog:
            files = " nor ".join(options.SYSLOG_FILES)
            current.readings.append(Reading(JOURNAL, f"{no_journal}, and there is neither {files}", "skipped"))
    elif asked.journal is not False:
        _read_journal(current, no_journal)
    _read_containers(current)
    _read_servers(current)
    now = context.clock.now()
    accounts = [
        memory.account(
            current.before,
            name,
            digest,
            now=now,
            reach=current.reaches[name],
            appeared=name in current.appeared,
        )
        for name, digest in current.digests.items()
    ]
    learnt = memory.learn(current.before, accounts, now=now, release=asked.release)
    result.findings += current.proofs
    answers = list(judge.judge_readings(current.readings, book=context.book))
    for one in accounts:
        answers += judge.judge_account(one, book=context.book, top=asked.top, checks=context.checks)
    if asked.release:
        kinds = memory.of_release(learnt, asked.release)
        answers += judge.judge_release(kinds, asked.release, book=context.book, top=asked.top)
    if accounts:
        answers += judge.quiet([one.id for one in REVIEW if one.id in context.checks], answers, accounts=accounts)
    for answer in answers:
        if isinstance(answer, Finding):
            result.findings.append(answer)
        else:
            result.metrics.append(answer)
    learnt.update(
        time=iso(now),
        marks=dict(list(current.marks.items())[-MOST_MARKS:]),
        formats={source: form for source, form in current.forms.items() if form != "text"},
        absent=current.absent,
        patterns=[*(pattern for entry in asked.files for pattern in entry.patterns), *asked.containers],
    )
    reviews[asked.name] = learnt
    newest = sorted(reviews.items(), key=lambda pair: str(pair[1].get("time", "")), reverse=True)[:MOST_REVIEWS]
    result.memory = {"reviews": dict(newest)}


def _no_journal() -> str:
    """Why the journal cannot be read; empty where it can."""
    try:
        journald.require_journal()
    except Absent as absent:
        return absent.message
    return ""


def _read_files(current: Round, entry: options.Files) -> None:
    marks = current.before.get("marks", {})
    apart = {path for path, mark in marks.items() if isinstance(mark, dict) and mark.get("apart") is True}
    paths, empty = live_logs(entry.patterns, exclude=entry.exclude, apart=apart)
    if entry.usual:
        paths = [path for path in paths if os.path.lexists(path)]
    else:
        for pattern in empty:
            current.readings.append(Reading(pattern, f"no file matches {pattern}", "skipped"))
    vanished = _vanished(current, entry, paths)
    new = [path for path in paths if path not in current.marks]
    read = new[: max(0, MOST_FILES - current.files)]
    current.files += len(read)
    for path in new[len(read) :]:
        current.files_left.add(path)
        current.keep_mark(path)
    queue = [*read, *vanished]
    for path in queue:
        if path not in current.marks:
            first = _first(current, path, path, entry.patterns)
            trail = follow(path, current.mark_of(path), first=first, budget=current.asked.budget, tell_apart=True)
            queue += _moved(current, entry, trail)
            if path in vanished and not trail.pieces and _is_over(current, path, paths):
                trail.close()
                continue
            _take_file(current, path, trail, FORMATS.get(entry.form), named=path in entry.patterns)


def _moved(current: Round, entry: options.Files, trail: Trail) -> list[str]:
    """Logs of other workers that proved to be no pieces of this one, as far as they were asked for."""
    asked = [
        path
        for path in trail.neighbours
        if any(fnmatchcase(path, pattern) for pattern in entry.patterns)
        and not any(fnmatchcase(path, pattern) for pattern in entry.exclude)
    ]
    for path in asked:
        current.moved[path] = trail.neighbours[path]
        current.appeared.add(family(path))
    return asked


def _first(current: Round, name: str, source: str, patterns: Sequence[str]) -> First:
    """Where a log never seen before is begun: what was not there in the last review is new as a whole."""
    if current.mark_of(source):
        return current.asked.first
    reviewed = current.before.get("patterns") or []
    matched = name not in patterns and any(pattern in reviewed for pattern in patterns)
    if matched or name in (current.before.get("absent") or []):
        current.appeared.add(family(source))
        return "start"
    return current.asked.first


def _vanished(current: Round, entry: options.Files, present: Sequence[str]) -> list[str]:
    """Logs of this entry that were read before and are no more: their older pieces may go on from there."""
    known = [source for source in current.before.get("marks", {}) if source.startswith("/")]
    return [
        path for path in known if path not in present and any(fnmatchcase(path, pattern) for pattern in entry.patterns)
    ]


def _is_over(current: Round, path: str, present: Sequence[str]) -> bool:
    """Whether it is yesterday's, read to its end and deleted since: a newer one had taken its place by the last run."""
    name = family(path)
    mark = current.mark_of(path)
    places = mark.get("places") if isinstance(mark, dict) else None
    done = isinstance(places, list) and all(isinstance(one, dict) and one.get("done") is True for one in places)
    newer = (other for other in present if other > path and family(other) == name)
    return name != path and done and any(current.mark_of(other) for other in newer)


def _take_file(current: Round, path: str, trail: Trail, form: Format | None, *, named: bool) -> None:
    if trail.pieces or not trail.unreadable:
        _scan(current, path, trail, form)
        if trail.unreadable and (named or not trail.gone):
            current.readings.append(Reading(path, f"it {trail.unreadable}", "unknown"))
        return
    known = current.mark_of(path)
    status = "skipped" if "permission" in trail.unreadable or (trail.gone and not known) else "unknown"
    words = f"it {trail.unreadable}" + (", and was there before" if trail.gone and known else "")
    if named or not trail.gone or trail.lost:
        # What only matched a glob is reported once, with what was lost of it; what was named is missed every time.
        current.readings.append(Reading(path, words, status, lost=trail.lost))
    if named and trail.gone:
        current.absent.append(path)
    if not trail.gone:
        current.keep_mark(path)
    elif known and (named or trail.pending):
        current.marks[path] = trail.mark()
    trail.close()


def _scan(current: Round, source: str, trail: AnyTrail, form: Format | None) -> None:
    """Read a log to its end and note what it said and how the reading went. Raises MaintenanceError."""
    known = FORMATS.get(str(current.before.get("formats", {}).get(family(source), "")))
    stretches = trail.stretches() if isinstance(trail, Trail) else trail.blocks()
    digest = digest_of(stretches, form, current.asked.wanted, known=known, workers=current.asked.workers)
    mark = trail.mark()
    current.marks[source] = mark
    current.take(source, digest, _reach(trail, mark))
    trouble = trail.trouble if isinstance(trail, journald.JournalTrail) else ""
    if trouble:
        words = f"it cannot be read on after {counted(digest.lines, 'new line')}: {trouble}"
        current.readings.append(Reading(source, words, "unknown", lost=joined(trail.losses)))
        return
    current.readings.append(
        Reading(
            source,
            lost=joined(trail.losses),
            behind=trail.behind,
            packed=trail.packed if isinstance(trail, Trail) else (),
            lines=digest.lines,
            odd_lines=trail.cut_lines + digest.unread,
            first_seen=trail.first_seen,
        )
    )


def _reach(trail: AnyTrail, mark: Mapping[str, Any]) -> Reach:
    behind = trail.behind != 0
    if isinstance(trail, Trail):
        return Reach(trail.bytes_read, trail.behind + sum(map(_unpacked, trail.packed)), behind)
    seconds = float(mark.get("time") or int(str(mark.get("since", 0))) / 1e9)
    return Reach(behind=behind, until=datetime.fromtimestamp(seconds, timezone.utc) if 0 < seconds < 1e11 else None)


def _unpacked(place: Place) -> int:
    """How much longer than a packed piece the text is that is left of it; logs shrink to about a tenth."""
    return max(0, 9 * place.size - max(0, place.offset))


def _read_journal(current: Round, trouble: str) -> None:
    asked = current.asked
    if trouble:
        current.readings.append(Reading(JOURNAL, trouble, "skipped"))
        current.keep_mark(JOURNAL)
        return
    matches = journald.any_of(units=asked.units, identifiers=asked.identifiers, kernel=asked.kernel)
    entries = _FIRST_LINES.get(str(asked.first), _MANY)
    _attempt(
        current,
        JOURNAL,
        lambda: journald.follow_journal(
            current.mark_of(JOURNAL), matches=matches, first_entries=entries, budget=asked.budget
        ),
        FORMATS["journal"],
    )


def _read_containers(current: Round) -> None:
    asked = current.asked
    if not asked.containers:
        return
    # To talk to the engine takes http.client, and that longer to import than all else here.
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import containers

    engine = containers.Engine(asked.socket)
    try:
        found, empty = engine.containers(asked.containers)
    except MaintenanceError as error:
        for pattern in asked.containers:
            current.readings.append(Reading(f"container {pattern}", str(error), "unknown"))
        for source in current.before.get("marks", {}):
            if source.startswith("container "):
                current.keep_mark(source)
        return
    for pattern in empty:
        current.readings.append(Reading(f"container {pattern}", "no container has this name", "skipped"))
    for container in found:
        source = f"container {container.name}"
        first = _first(current, container.name, source, asked.containers)
        opened = partial(
            containers.follow_container,
            engine,
            container,
            current.mark_of(source),
            first_lines=_FIRST_LINES.get(str(first), _MANY),
            budget=asked.budget,
        )
        _attempt(current, source, opened, None)


def _read_servers(current: Round) -> None:
    asked = current.asked
    if asked.mysql:
        # A review without a server does not pay for what it takes to talk to one.
        from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.servers import servers

        entries = _FIRST_LINES.get(str(asked.first), _MANY)
        for source, opened in servers(asked, current.mark_of, current.proofs, first_rows=entries):
            _attempt(current, source, opened, FORMATS["mysql"])


def _attempt(current: Round, source: str, opened: Callable[[], AnyTrail], form: Format | None) -> None:
    """Read what talks to a program or a server; what does not answer is told, and read from the same place later."""
    try:
        _scan(current, source, opened(), form)
    except MaintenanceError as error:
        given = error.status if isinstance(error, Absent) else "unknown"
        status = "skipped" if isinstance(error, CommandMissing) else given
        current.readings.append(Reading(source, error.message, status, remedy=error.remedy))
        current.digests.pop(source, None)
        current.marks.pop(source, None)
        current.keep_mark(source)
