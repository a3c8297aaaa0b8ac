# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is different from the last run: a pure comparison of what was known with what is found now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import (
    SUPPRESSED,
    Change,
    Entry,
    HostView,
    Key,
)

#: From which rank a finding is something a person should look at.
_ALARM = RANK["info"]
#: Findings of the gate and of the report come with whatever module was running; they are gone once any module answers.
_OURS = "maintenance."


@dataclass(frozen=True, slots=True)
class Known:
    """What the history knows of one finding."""

    module: str
    status: str
    suppressed: bool
    gone: bool
    since: int
    changed_run: str = ""

    @property
    def standing(self) -> str:
        return SUPPRESSED if self.suppressed else self.status


@dataclass
class Comparison:
    """``changes`` has every finding of the run and every one that is gone; ``written`` what the history must note."""

    changes: dict[Key, Change] = field(default_factory=dict)
    written: list[Key] = field(default_factory=list)
    gone: dict[Key, Known] = field(default_factory=dict)


def digest(view: HostView) -> str:
    """Equal for two runs in which every question had the same standing and the same modules answered."""
    state = hashlib.blake2b(digest_size=16)
    for module in sorted(view.answered):
        state.update(f"{module}\x1e".encode())
    for entry in sorted(view.entries, key=lambda entry: entry.key):
        state.update(f"{entry.check}\x1f{entry.item}\x1f{entry.standing}\x1f{entry.module}\x1e".encode())
    return state.hexdigest()


def compare(view: HostView, known: Mapping[Key, Known], *, at: int, first: bool) -> Comparison:
    """Compare one host's findings with what is known of it. ``first``: there was no run of this cadence before."""
    result = Comparison()
    for entry in view.entries:
        before = known.get(entry.key)
        change = _change(entry, before, at=at, first=first)
        result.changes[entry.key] = change
        if before is None or before.gone or before.standing != entry.standing or before.module != entry.module:
            result.written.append(entry.key)
    present = {entry.key for entry in view.entries}
    for key, before in known.items():
        if key not in present and not before.gone and _answered(key, before, view):
            kind = "gone" if _rank(before.standing) >= _ALARM else "unchanged"
            result.changes[key] = Change(kind, at, before.standing)
            result.gone[key] = before
    return result


def _answered(key: Key, before: Known, view: HostView) -> bool:
    """Whether the module that used to find it has had its say, so that silence means that it is no longer there."""
    if key[0].startswith(_OURS):
        return bool(view.answered)
    return before.module in view.answered


def _rank(standing: str) -> int:
    return RANK.get(standing, 0)


def _change(entry: Entry, before: Known | None, *, at: int, first: bool) -> Change:
    now = _rank(entry.standing)
    if first:
        return Change("first", at)
    if before is None or before.gone:
        return Change("new" if now >= _ALARM else "unchanged", at)
    if before.standing == entry.standing:
        return Change("unchanged", before.since, before.standing)
    return Change(_kind(entry.standing, now, _rank(before.standing)), at, before.standing)


def _kind(standing: str, now: int, was: int) -> str:
    if was < _ALARM:
        return "new" if now >= _ALARM else "unchanged"
    if now >= _ALARM:
        return "worse" if now > was else "better"
    return "unseen" if standing == "skipped" else "resolved"
