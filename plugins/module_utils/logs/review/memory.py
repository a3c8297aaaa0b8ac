# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of the errors of a log, and what is new, sudden or of this release against that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Digest, Kind
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import RANK
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.templates import fingerprint

MOST_KINDS = 1000
MOST_SOURCES = 500
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
class Account:
    """One log in this run: its sightings, the hours it covers (None in its first review), and times its usual rate.

    ``settled``: it was reviewed often enough for its rates to be known.
    """

    source: str
    digest: Digest
    sightings: list[Sighting]
    hours: float | None
    factor: float | None
    settled: bool = False


def hours_since(before: Mapping[str, Any], source: str, now: datetime) -> float | None:
    """Hours since this log was reviewed, at least one; None when it never was."""
    known = before.get("sources", {}).get(source)
    try:
        then = parse_time(str(known["time"]), option="time") if known else None
    except (OptionError, KeyError, TypeError):
        return None
    return max(1.0, (now - then).total_seconds() / 3600) if then else None


def account(before: Mapping[str, Any], source: str, digest: Digest, *, now: datetime) -> Account:
    """What one log's digest means against what is remembered."""
    hours = hours_since(before, source, now)
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
    return Account(source, digest, sorted(sightings, key=lambda one: one.order), hours, total, settled)


def learn(before: Mapping[str, Any], accounts: list[Account], *, now: datetime, release: str) -> dict[str, Any]:
    """What to remember for the next run: rates by log and by kind, when each was met first and last, the release."""
    moment = iso(now)
    sources = dict(before.get("sources", {}))
    kinds = {key: dict(entry) for key, entry in before.get("kinds", {}).items()}
    for one in accounts:
        known = sources.get(one.source, {})
        rate = one.digest.events / (one.hours or 24.0)
        usual = rate if not known.get("runs") else _mixed(float(known.get("usual", 0)), rate)
        sources[one.source] = {"time": moment, "runs": int(known.get("runs", 0)) + 1, "usual": round(usual, 6)}
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
