# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of the errors of a log, and what is new, sudden or of this release against that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import MOST_FILES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Digest, Kind
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import RANK
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.templates import fingerprint

MOST_KINDS = 1000
MOST_SOURCES = MOST_FILES + 500
#: How much the newest run weighs in an average.
_WEIGHT = 0.3
#: No kind counts as rarer than one a day, or the first time it comes twice would be a spike.
_LEAST_RATE = 1 / 24
RUNS_TO_KNOW = 3
_LEAST_COUNT = 10


@dataclass(frozen=True)
class Sighting:
    """A kind of error of this run, and when the first and the last run before met it.

    ``usual`` is how often an hour it comes in earlier runs, ``factor`` times that rate; None before that is known.
    """

    kind: Kind
    new: bool
    factor: float | None
    first: str
    usual: float | None = None
    last: str = ""

    @property
    def order(self) -> tuple[bool, int, int]:
        """New ones first, then the worst, then the most."""
        return (not self.new, -RANK[self.kind.level], -self.kind.count)


@dataclass(frozen=True)
class Reach:
    """How far a log was read: bytes that were, bytes that were left, and the time of the last line where it is known.

    ``behind``: something was left, whether or not anybody knows how much.
    """

    read: int = 0
    left: int = 0
    behind: bool = False
    until: datetime | None = None

    def and_of(self, other: Reach) -> Reach:
        """That of two files of one log."""
        return Reach(self.read + other.read, self.left + other.left, self.behind or other.behind)


@dataclass(frozen=True)
class Account:
    """One log in this run: its sightings, the hours it covers (None in its first review), and times its usual rate.

    ``settled``: it was reviewed often enough for its rates to be known. ``read_to``: up to when, by the clock of the
    controlled host. ``history``: bytes that were left when it was read first, and of which nobody knows the time.
    """

    source: str
    digest: Digest
    sightings: list[Sighting]
    hours: float | None
    factor: float | None
    settled: bool = False
    read_to: datetime | None = None
    history: int = 0


@dataclass(frozen=True)
class _Span:
    hours: float | None
    read_to: datetime
    history: int = 0


def _span(before: Mapping[str, Any], source: str, reach: Reach, *, appeared: bool, now: datetime) -> _Span:
    """The time that the lines of this run cover: all since the last run, or the share of it that was read.

    A log is taken to grow evenly where its lines' own time is not known. What was there before its first review and
    did not fit into that is still of the first review, whenever it is read.
    """
    known = before.get("sources", {}).get(source)
    then = _time_of(known) or (_time_of(before) if appeared else None)
    if then is None:
        return _Span(None, reach.until if reach.behind and reach.until else now, reach.left)
    history = int((known or {}).get("history", 0))
    passed = now - then
    if reach.behind and reach.until:
        covered = max(timedelta(minutes=1), reach.until - then)
        return _Span(covered.total_seconds() / 3600, reach.until)
    fresh = max(0, reach.read - history)
    share = fresh / (fresh + reach.left) if reach.left else 1.0
    if history:
        left = max(0, history - reach.read) if reach.left else 0
        return _Span(None, then if left else then + passed * share, left)
    return _Span(max(1.0, passed.total_seconds() / 3600) * share, then + passed * share)


def _time_of(known: Mapping[str, Any] | None) -> datetime | None:
    try:
        return parse_time(str(known["time"]), option="time") if known else None
    except (OptionError, KeyError, TypeError):
        return None


def account(
    before: Mapping[str, Any], source: str, digest: Digest, *, now: datetime, reach: Reach, appeared: bool = False
) -> Account:
    """What one log's digest means against what is remembered; ``appeared``: it was not there in the last review."""
    span = _span(before, source, reach, appeared=appeared, now=now)
    hours = span.hours
    known = before.get("sources", {}).get(source, {})
    settled = hours is not None and int(known.get("runs", 0)) >= RUNS_TO_KNOW
    sightings = []
    for text, kind in digest.kinds.items():
        entry = before.get("kinds", {}).get(fingerprint(source, text))
        factor = None
        if settled and hours and kind.count >= _LEAST_COUNT and entry:
            factor = kind.count / hours / max(_LEAST_RATE, float(entry.get("usual", 0)))
        first = str(entry.get("first", "")) if entry else iso(now)
        usual = float(entry.get("usual", 0)) if entry and hours else None
        last = str(entry.get("last", "")) if entry else ""
        sightings.append(Sighting(kind, entry is None, factor, first, usual, last))
    total = None
    if settled and hours and digest.events >= _LEAST_COUNT:
        total = digest.events / hours / max(_LEAST_RATE, float(known.get("usual", 0)))
    ordered = sorted(sightings, key=lambda one: one.order)
    return Account(source, digest, ordered, hours, total, settled, span.read_to, span.history)


def learn(before: Mapping[str, Any], accounts: list[Account], *, now: datetime, release: str) -> dict[str, Any]:
    """What to remember for the next run: rates by log and by kind, when each was met first and last, the release."""
    moment = iso(now)
    sources = dict(before.get("sources", {}))
    kinds = {key: dict(entry) for key, entry in before.get("kinds", {}).items()}
    for one in accounts:
        known = sources.get(one.source, {})
        rate = one.digest.events / (one.hours or 24.0)
        usual = rate if not known.get("runs") else _mixed(float(known.get("usual", 0)), rate)
        sources[one.source] = {
            "time": iso(one.read_to) if one.read_to else moment,
            "runs": int(known.get("runs", 0)) + (not one.history),
            "usual": round(usual, 6),
            **({"history": one.history} if one.history else {}),
        }
        _learn_kinds(kinds, one, moment=moment, release=release)
    newest = sorted(kinds.items(), key=lambda pair: str(pair[1].get("last", "")), reverse=True)[:MOST_KINDS]
    recent = sorted(sources.items(), key=lambda pair: str(pair[1].get("time", "")), reverse=True)[:MOST_SOURCES]
    return {"kinds": dict(newest), "sources": dict(recent)}


def _learn_kinds(kinds: dict[str, dict[str, Any]], one: Account, *, moment: str, release: str) -> None:
    hours = one.hours or 24.0
    seen = {fingerprint(one.source, sighting.kind.text): sighting for sighting in one.sightings}
    for key, entry in kinds.items():
        if entry.get("source") == one.source:
            rate = seen[key].kind.count / hours if key in seen else 0.0
            entry["usual"] = round(_mixed(float(entry.get("usual", 0)), rate), 6)
            entry["last"] = moment if key in seen else entry.get("last", "")
    for key, sighting in seen.items():
        if key not in kinds:
            kinds[key] = {
                "text": sighting.kind.text,
                "source": one.source,
                "level": sighting.kind.level,
                "first": moment,
                "last": moment,
                "usual": round(sighting.kind.count / hours, 6),
                # A log's first review tells nothing of when its errors began.
                "release": release if one.hours is not None else "",
            }


def _mixed(usual: float, rate: float) -> float:
    return usual * (1 - _WEIGHT) + rate * _WEIGHT


def of_release(remembered: Mapping[str, Any], release: str) -> list[Mapping[str, Any]]:
    """The kinds that were met first under this release, the newest first."""
    found = [entry for entry in remembered.get("kinds", {}).values() if release and entry.get("release") == release]
    return sorted(found, key=lambda entry: str(entry.get("first", "")), reverse=True)
