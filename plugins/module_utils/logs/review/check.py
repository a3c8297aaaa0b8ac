# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_review``: read what is new in every log that was asked for, and say what stands out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import CommandMissing
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import journald
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.checks import CHECKS as READING
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import live_logs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import First, Trail, follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import Span, Stretch
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import judge, memory, options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.checks import CHECKS as REVIEW
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Digest, Scanner, Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import (
    FORMATS,
    Format,
    recognise,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.judge import Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import Asked
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.probe import probe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.sieve import Numbered, sift

OWN = frozenset(check.id for check in (*READING, *REVIEW))
MOST_REVIEWS = 50
MOST_MARKS = 2000
JOURNAL = "journal"
#: How many entries or lines before its end a journal or a container's log is begun, which have no size to go by.
_FIRST_LINES: Mapping[str, int | None] = {"start": None, "end": 0}
_MANY = 10000

if TYPE_CHECKING:
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.containers import ContainerTrail

    AnyTrail = Union[Trail, journald.JournalTrail, ContainerTrail]


@dataclass
class Round:
    """One review while it goes on: what the last one of this name left, and what this one found."""

    asked: Asked
    before: Mapping[str, Any]
    marks: dict[str, Any] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    digests: dict[str, Digest] = field(default_factory=dict)

    def mark_of(self, source: str) -> Any:
        return self.before.get("marks", {}).get(source)

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
    result.findings = [finding for finding in result.findings if finding.check in context.checks]
    return result


def _review(context: Context, asked: Asked, result: Result) -> None:
    reviews = context.memory.get("reviews")
    reviews = dict(reviews) if isinstance(reviews, dict) else {}
    before = reviews.get(asked.name)
    current = Round(asked, before if isinstance(before, dict) else {})
    no_journal = journald.why_not() if asked.journal is not False else ""
    for entry in asked.files:
        _read_files(current, entry)
    if no_journal and asked.journal is None:
        # What is usual without a journal: a syslog daemon's files.
        _read_files(current, options.Files(options.SYSLOG_FILES, usual=True))
    elif asked.journal is not False:
        _read_journal(current, no_journal)
    _read_containers(current)
    now = context.clock.now()
    accounts = [memory.account(current.before, source, digest, now=now) for source, digest in current.digests.items()]
    learnt = memory.learn(current.before, accounts, now=now, release=asked.release)
    answers = list(judge.judge_readings(current.readings, book=context.book))
    for one in accounts:
        answers += judge.judge_account(one, book=context.book, top=asked.top)
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
        patterns=[*(pattern for entry in asked.files for pattern in entry.patterns), *asked.containers],
    )
    reviews[asked.name] = learnt
    newest = sorted(reviews.items(), key=lambda pair: str(pair[1].get("time", "")), reverse=True)[:MOST_REVIEWS]
    result.memory = {"reviews": dict(newest)}


def _read_files(current: Round, entry: options.Files) -> None:
    paths, empty = live_logs(entry.patterns, exclude=entry.exclude)
    if entry.usual:
        paths = [path for path in paths if os.path.lexists(path)]
    else:
        for pattern in empty:
            current.readings.append(Reading(pattern, f"no file matches {pattern}", "skipped"))
    for path in [*paths, *_vanished(current, entry, paths)]:
        if path not in current.marks:
            first = _first(current, path, entry.patterns)
            trail = follow(path, current.mark_of(path), first=first, budget=current.asked.budget)
            _take_file(current, path, trail, FORMATS.get(entry.form))


def _first(current: Round, name: str, patterns: Sequence[str]) -> First:
    """Where a log never seen before is begun: what appeared under a glob since the last review is new as a whole."""
    reviewed = current.before.get("patterns") or []
    appeared = name not in patterns and any(pattern in reviewed for pattern in patterns)
    return "start" if appeared else current.asked.first


def _vanished(current: Round, entry: options.Files, present: Sequence[str]) -> list[str]:
    """Logs of this entry that were read before and are no more: their older pieces may go on from there."""
    known = [source for source in current.before.get("marks", {}) if source.startswith("/")]
    return [
        path for path in known if path not in present and any(fnmatchcase(path, pattern) for pattern in entry.patterns)
    ]


def _take_file(current: Round, path: str, trail: Trail, form: Format | None) -> None:
    if trail.unreadable and not trail.pieces and not trail.lost:
        status = "skipped" if trail.gone or "permission" in trail.unreadable else "unknown"
        if not trail.gone or not current.mark_of(path):
            current.readings.append(Reading(path, f"it {trail.unreadable}", status))
        if not trail.gone:
            current.keep_mark(path)
        trail.close()
        return
    _scan(current, path, trail, form)
    if trail.unreadable and not trail.gone:
        current.readings.append(Reading(path, f"it {trail.unreadable}", "unknown"))


def _scan(current: Round, source: str, trail: AnyTrail, form: Format | None) -> None:
    """Read a log to its end and note what it said and how the reading went. Raises MaintenanceError."""
    stretches = trail.stretches() if isinstance(trail, Trail) else trail.blocks()
    digest = digest_of(stretches, form, current.asked.wanted)
    mark = trail.mark()
    current.marks[source] = mark
    current.digests[source] = digest
    current.readings.append(
        Reading(
            source,
            losses=tuple((loss.reason, loss.bytes) for loss in trail.losses),
            behind=trail.behind,
            lines=digest.lines,
            odd_lines=trail.cut_lines + digest.unread,
            first_seen=trail.first_seen,
        )
    )


def digest_of(stretches: Iterator[Stretch], form: Format | None, wanted: Wanted) -> Digest:
    """All of a stream in one digest; without a format it is seen from the first line."""
    first = next(stretches, None)
    if first is None:
        return Digest()
    form = form or recognise(first.begin(LINE_LIMIT) if isinstance(first, Span) else first)
    pattern = form.sieve if wanted.least != "warning" else f"{form.sieve}|{form.warnings}"
    scanner = Scanner(form, wanted)
    extra = [_in_raw(one, form) for one in wanted.include]

    def passed() -> Iterator[Numbered]:
        scanner.digest.lines = yield from sift(chain([first], stretches), pattern, extra=extra)

    scanner.feed(passed())
    return scanner.finish()


def _in_raw(pattern: re.Pattern[bytes], form: Format) -> re.Pattern[bytes]:
    """What lets a line pass the sieve: the expression itself, or every line where the text is packed in a field."""
    return pattern if form.plain else re.compile(rb"^", re.MULTILINE)


def _read_journal(current: Round, trouble: str) -> None:
    asked = current.asked
    if trouble:
        current.readings.append(Reading(JOURNAL, trouble, "skipped"))
        current.keep_mark(JOURNAL)
        return
    selection = journald.Selection(asked.units, asked.identifiers, asked.kernel)
    entries = _FIRST_LINES.get(str(asked.first), _MANY)
    _attempt(
        current,
        JOURNAL,
        lambda: journald.follow_journal(
            current.mark_of(JOURNAL), selection=selection, first_entries=entries, budget=asked.budget
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
        first = _first(current, container.name, asked.containers)
        opened = partial(
            containers.follow_container,
            engine,
            container,
            current.mark_of(source),
            first_lines=_FIRST_LINES.get(str(first), _MANY),
            budget=asked.budget,
        )
        _attempt(current, source, opened, None)


def _attempt(current: Round, source: str, opened: Callable[[], AnyTrail], form: Format | None) -> None:
    """Read what talks to a program or a server; what does not answer is told, and read from the same place later."""
    try:
        _scan(current, source, opened(), form)
    except MaintenanceError as error:
        status = "skipped" if isinstance(error, CommandMissing) else "unknown"
        current.readings.append(Reading(source, str(error), status))
        current.digests.pop(source, None)
        current.marks.pop(source, None)
        current.keep_mark(source)
