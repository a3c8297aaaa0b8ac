# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure answers: from what was read and what is remembered to findings and metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import (
    counted,
    number,
    quantity,
    shorten,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED, Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import Place
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.worded import (
    REST,
    loss_words,
    packed_words,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.memory import (
    RUNS_TO_KNOW,
    Account,
    Sighting,
)

_MOST_NAMES = 19
_GLIMPSE = 120


@dataclass(frozen=True)
class Reading:
    """How the reading of one log went.

    ``trouble`` says why it could not be read, ``status`` how bad that is, and ``remedy`` what to do where that is not
    what always helps; ``lost`` what was gone before that; ``behind`` is how many bytes of files are left, ``packed``
    the packed ones among these;
    ``lines`` are all new lines, ``odd_lines`` those that were too long or not understood.
    """

    source: str
    trouble: str = ""
    status: str = "unknown"
    lost: Loss | None = None
    behind: int = 0
    packed: Sequence[Place] = ()
    lines: int = 0
    odd_lines: int = 0
    first_seen: bool = False
    remedy: str = ""


def judge_readings(readings: Sequence[Reading], *, book: LevelBook) -> Iterator[Answer]:
    """Whether the logs were read, and all of them."""
    good = [reading for reading in readings if not reading.trouble]
    for reading in readings:
        if reading.trouble:
            status: Status = reading.status  # type: ignore[assignment]
            yield CATALOGUE.stated("logs.readable", reading.source, status, reading.trouble, remedy=reading.remedy)
    if good:
        new = [reading.source for reading in good if reading.first_seen]
        words = f"{counted(len(good), 'log')} read"
        words += f", {len(new)} of them for the first time" if new else ""
        yield CATALOGUE.stated("logs.readable", "all logs", "ok", words, evidence=_some(new))
    lost = [(reading.source, reading.lost) for reading in readings if reading.lost]
    for source, loss in lost:
        yield CATALOGUE.stated("logs.lost", source, *loss_words(loss))
    if good and not lost:
        yield CATALOGUE.stated("logs.lost", "all logs", "ok", "every log goes on from where it was read last")
    for reading in good:
        if reading.behind == UNMEASURED:
            yield CATALOGUE.stated("logs.behind", reading.source, "info", REST)
        elif reading.behind:
            note = packed_words(reading.packed)
            phrase = "left for the next run"
            yield from _measured("logs.behind", reading.source, reading.behind, phrase, book=book, note=note)
    yield from _odd(good, book=book)


def _odd(readings: Sequence[Reading], *, book: LevelBook) -> Iterator[Answer]:
    for reading in readings:
        if reading.odd_lines:
            share = 100 * reading.odd_lines / max(1, reading.lines, reading.odd_lines)
            phrase = f"{counted(reading.odd_lines, 'line')} of {reading.lines} not understood whole"
            yield from _measured("logs.skipped_lines", reading.source, share, phrase, book=book)


def judge_account(one: Account, *, book: LevelBook, top: int, checks: Collection[str]) -> Iterator[Answer]:
    """The errors of one log; ``checks`` are those whose answers will be told."""
    events, source = one.digest.events, one.source
    evidence = [_worded(sighting) for sighting in one.sightings[:top]]
    hidden = len(one.sightings) - len(evidence)
    if hidden > 0:
        evidence.append(f"and {counted(hidden, 'more kind', 'more kinds')}")
    if one.digest.other:
        evidence.append(f"and {counted(one.digest.other, 'event')} of kinds beyond those that are told apart")
    note = f"{counted(one.digest.ignored, 'event')} ignored as asked" if one.digest.ignored else ""
    if one.hours is None:
        words = f"{counted(events, 'event')} of {counted(len(one.sightings), 'kind')} in the first review of this log"
        status = "info" if events else "ok"
        yield CATALOGUE.stated("logs.errors", source, status, words, evidence=evidence)  # type: ignore[arg-type]
    else:
        said = (
            f"{counted(events, 'event')} of {counted(len(one.sightings), 'kind')} in {quantity(one.hours * 3600, 's')}"
        )
        note = f"{said}; {note}" if note else said
        rate = round(events / one.hours, 3)
        yield from _measured("logs.errors", source, rate, "Errors an hour", book=book, evidence=evidence, note=note)
    fatal = list(_fatal(one, book=book, top=top))
    yield from fatal
    if one.hours is not None:
        alarmed = any(isinstance(answer, Finding) and answer.status != "ok" for answer in fatal)
        yield from _new(one, book=book, top=top, but_fatal=alarmed and "logs.fatal" in checks)
        yield from _sudden(one, book=book, top=top)
    yield Metric("logs.events", source, events)
    yield Metric("logs.kinds", source, len(one.sightings))


def _fatal(one: Account, *, book: LevelBook, top: int) -> Iterator[Answer]:
    fatal = one.digest.levels.get("fatal", 0)
    if fatal:
        kinds = [sighting for sighting in one.sightings if sighting.kind.level == "fatal"]
        worst = [_worded(sighting) for sighting in kinds[:top]]
        new = sum(sighting.new for sighting in kinds) if one.hours is not None else 0
        notes = [f"{counted(new, 'kind')} {'is' if new == 1 else 'are'} new"] if new else []
        note = "; ".join([*notes, *_such_as(kinds)])
        yield from _measured("logs.fatal", one.source, fatal, "Fatal errors", book=book, evidence=worst, note=note)


def _new(one: Account, *, book: LevelBook, top: int, but_fatal: bool) -> Iterator[Answer]:
    """Kinds that no run met before; ``but_fatal``: an alarm of their own has told of the fatal ones already."""
    new = [sighting for sighting in one.sightings if sighting.new]
    here = [sighting for sighting in new if not (but_fatal and sighting.kind.level == "fatal")]
    if not new:
        return
    fatal = len(new) - len(here)
    notes = [f"and {counted(fatal, 'fatal one')}, told by logs.fatal"] if fatal else []
    yield from _measured(
        "logs.new",
        one.source,
        len(here),
        "Kinds of errors never seen before",
        book=book,
        evidence=[_worded(replace(sighting, new=False)) for sighting in here[:top]],
        note="; ".join([*notes, *_such_as(here)]),
    )


def _sudden(one: Account, *, book: LevelBook, top: int) -> Iterator[Answer]:
    sudden = [sighting for sighting in one.sightings if sighting.factor is not None]
    sudden.sort(key=lambda sighting: -(sighting.factor or 0))
    factors = [one.factor] if one.factor is not None else []
    factors += [sighting.factor for sighting in sudden[:1] if sighting.factor is not None]
    if factors:
        evidence = [f"{number(round(sighting.factor or 0, 1))} times: {_worded(sighting)}" for sighting in sudden[:top]]
        phrase = "Times the usual rate"
        yield from _measured("logs.spike", one.source, max(factors), phrase, book=book, evidence=evidence)


def _such_as(sightings: Sequence[Sighting]) -> list[str]:
    """The first of them in a few words, for who reads no more than a sentence."""
    return [f"such as {shorten(one.kind.text, limit=_GLIMPSE)}" for one in sightings[:1]]


def _worded(sighting: Sighting) -> str:
    kind = sighting.kind
    words = f"{'new, ' if sighting.new else ''}{kind.count}x {kind.level}: {kind.text}"
    if sighting.usual is not None:
        first, last = sighting.first[:10], sighting.last[:10]
        met = f"known since {first}" + (f", last met {last}" if last != first else "")
        words += f" ({met}, usually {number(round(sighting.usual * 24, 1))} a day)"
    return f"{words} (such as: {kind.example})" if kind.example else words


def judge_release(kinds: Sequence[Mapping[str, Any]], release: str, *, book: LevelBook, top: int) -> Iterator[Answer]:
    """What is new since a release."""
    evidence = [f"{entry.get('level')} in {entry.get('source')}: {entry.get('text')}" for entry in kinds[:top]]
    phrase = "Kinds of errors met first since the release"
    yield from _measured("logs.release", release, len(kinds), phrase, book=book, evidence=evidence)


def quiet(checks: Sequence[str], answers: Sequence[Answer], *, accounts: Sequence[Account]) -> Iterator[Answer]:
    """One answer for every check of which no log has anything to say: that this is so, or that it is too early."""
    told = {answer.check for answer in answers if isinstance(answer, Finding)}
    compared = any(one.hours is not None for one in accounts)
    settled = any(one.settled for one in accounts)
    words = {
        "logs.fatal": (True, "no fatal error"),
        "logs.new": (compared, "no kind of error that was not seen before"),
        "logs.spike": (settled, "no rate of errors stands out"),
    }
    for check, (known, sentence) in words.items():
        if check in checks and check not in told:
            runs = RUNS_TO_KNOW + 1 if "spike" in check else 2
            early = f"too early to tell before review number {runs} of a log"
            yield CATALOGUE.stated(check, "all logs", "ok" if known else "skipped", sentence if known else early)
    first = [one.source for one in accounts if one.hours is None and one.sightings]
    if compared and first and "logs.new" in checks:
        told_of = f"{counted(len(first), 'log')} could not be compared, for this was the first review of each"
        yield CATALOGUE.stated("logs.new", "first reviews", "skipped", told_of, evidence=_some(first))


def _some(names: Sequence[str]) -> list[str]:
    more = len(names) - _MOST_NAMES
    return [*names[:_MOST_NAMES], *([f"and {counted(more, 'more log', 'more logs')}"] if more > 0 else [])]


def _measured(
    check: str, item: str, value: float, phrase: str, *, book: LevelBook, evidence: Sequence[str] = (), note: str = ""
) -> Iterator[Answer]:
    yield CATALOGUE.measured(check, item, value, phrase, book=book, evidence=evidence, note=note)
    yield Metric(check, item, value, CATALOGUE[check].unit)
