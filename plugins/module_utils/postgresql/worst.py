# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects under one check: a finding for each that is above its level, and one for all the others together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import View

#: How many objects get a finding, an evidence line or a metric of their own.
OFFENDERS = 20
SHOWN = 10


@dataclass(frozen=True)
class Candidate:
    """An object with its measurement: ``words`` is its line among others, ``note`` what a finding of its own adds."""

    item: str
    value: float
    words: str
    note: str = ""
    evidence: tuple[str, ...] = ()
    remedy: str = ""


def tell(
    view: View,
    check: str,
    item: str,
    candidates: Iterable[Candidate],
    phrase: str,
    *,
    each: str = "",
    nothing: str = "",
) -> Iterator[Answer]:
    """Findings of all candidates, the worst value first; ``item`` is what they belong to, a cluster or a database.

    ``phrase`` words the worst of many, ``each`` the value of one alone, ``nothing`` stands where there are none. The
    metric of ``item`` is the worst of all, so that its curve does not break where one crosses its level; where there
    is no candidate, there is no metric.
    """
    levels = view.catalogue[check].levels
    sign = 1 if levels and levels.direction == "lower" else -1
    ordered = sorted(candidates, key=lambda candidate: (sign * candidate.value, candidate.item))
    offenders: list[Candidate] = []
    others: list[Candidate] = []
    for candidate in ordered:
        (others if _judged(view, check, item, candidate) == "ok" else offenders).append(candidate)
    told, untold = offenders[:OFFENDERS], offenders[OFFENDERS:]
    rest = untold + others
    for candidate in told:
        yield replace(
            _measured(view, check, item, candidate, each or phrase, note=candidate.note, evidence=candidate.evidence),
            item=candidate.item,
        )
    if rest:
        besides = f"besides the {len(told)} told one by one" if told else ""
        more = f"{len(untold)} more are above their level" if untold else ""
        note = "; ".join(words for words in (rest[0].note, besides, more) if words)
        lines = [candidate.words for candidate in rest[:SHOWN]]
        yield replace(_measured(view, check, item, rest[0], phrase, note=note, evidence=lines), item=item)
    elif not told:
        yield view.state(check, item, "ok", nothing or f"{phrase}: nothing to look at")
    unit = view.catalogue[check].unit
    for candidate in ordered[:1]:
        yield Metric(check, item, candidate.value, unit)
    for candidate in ordered[:SHOWN]:
        if candidate.item != item:
            yield Metric(check, candidate.item, candidate.value, unit)


def _whose(view: View, check: str, item: str, candidate: Candidate) -> str:
    """The item whose levels judge a candidate: its own where the user has named it, else those of all together."""
    return candidate.item if view.book.names_item(check, candidate.item) else item


def _judged(view: View, check: str, item: str, candidate: Candidate) -> str:
    levels = view.book.lookup(check, _whose(view, check, item, candidate), view.catalogue[check].levels)
    return levels.judge(candidate.value) if levels else "ok"


def _measured(
    view: View, check: str, item: str, candidate: Candidate, phrase: str, *, note: str, evidence: Sequence[str]
) -> Finding:
    return view.catalogue.measured(
        check,
        _whose(view, check, item, candidate),
        candidate.value,
        phrase,
        book=view.book,
        evidence=evidence,
        note=note,
        remedy=candidate.remedy,
    )
