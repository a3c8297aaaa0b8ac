# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns a finding, and who has said until when that it need not alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import require_check
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.windows import parse_moment

_KEYS = ("check", "item", "owner", "reason", "until")
_ALARMS = ("info", "warning", "unknown", "critical")


@dataclass(frozen=True)
class Suppression:
    """A promise that a finding is known: it stays in the report but does not alarm before ``until`` (UTC)."""

    check: str
    item: str
    owner: str
    reason: str
    until: datetime

    def covers(self, finding: Mapping[str, Any]) -> bool:
        return fnmatchcase(str(finding["check"]), self.check) and fnmatchcase(str(finding["item"]), self.item)


def parse_suppressions(
    raw: object, *, zone: ZoneInfo, option: str = "maintenance_suppressions"
) -> tuple[Suppression, ...]:
    """The list of suppressions; every one needs check, owner, reason and until. Raises OptionError."""
    if raw is None:
        return ()
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Sequence):
        raise OptionError(option, raw, "a list of mappings with check, item, owner, reason and until")
    parsed = []
    for index, entry in enumerate(raw):
        here = f"{option}[{index}]"
        if not isinstance(entry, Mapping) or set(entry) - set(_KEYS):
            raise OptionError(here, entry, f"a mapping with the keys {', '.join(_KEYS)}")
        for key, default in (("check", None), ("item", "*"), ("owner", None), ("reason", None)):
            given = entry.get(key, default)
            if not isinstance(given, str) or not given.strip():
                raise OptionError(f"{here}.{key}", given, "a text; a suppression needs check, owner, reason, until")
        require_check(entry["check"], option=f"{here}.check")
        parsed.append(
            Suppression(
                check=entry["check"],
                item=entry.get("item", "*"),
                owner=clean(entry["owner"], limit=80),
                reason=clean(entry["reason"]),
                until=parse_moment(entry.get("until"), zone=zone, end_of_day=True, option=f"{here}.until"),
            )
        )
    return tuple(parsed)


def suppress(finding: dict[str, Any], suppressions: Sequence[Suppression], *, now: datetime) -> dict[str, Any]:
    """The finding with ``suppressed`` where a suppression is in force, or with a word on the one that lapsed."""
    if finding["status"] not in _ALARMS:
        return finding
    lapsed: Suppression | None = None
    for suppression in suppressions:
        if not suppression.covers(finding):
            continue
        if now < suppression.until:
            return {
                **finding,
                "suppressed": {
                    "owner": suppression.owner,
                    "reason": suppression.reason,
                    "until": iso(suppression.until),
                },
            }
        lapsed = suppression
    if lapsed is None:
        return finding
    note = f"the suppression by {lapsed.owner} lapsed {iso(lapsed.until)} ({lapsed.reason})"
    return {**finding, "summary": f"{finding['summary']}; {note}", "lapsed": True}


def parse_owners(raw: object, *, option: str = "maintenance_owners") -> tuple[tuple[str, tuple[str, ...]], ...]:
    """``{check glob: owner or [owners]}`` in the order given. Raises OptionError."""
    if raw is None:
        return ()
    if isinstance(raw, str) and raw:
        return (("*", (raw,)),)
    if not isinstance(raw, Mapping):
        raise OptionError(option, raw, "an owner, or a mapping of check globs to owners")
    parsed = []
    for glob, names in raw.items():
        listed = [names] if isinstance(names, str) else names
        named = isinstance(listed, Sequence) and all(isinstance(name, str) and name for name in listed)
        if not isinstance(glob, str) or not named:
            raise OptionError(f"{option}.{glob}", names, "a check glob with an owner's name or a list of names")
        require_check(glob, option=f"{option}.{glob}")
        parsed.append((glob, tuple(listed)))
    return tuple(parsed)


def owners_of(check: str, owners: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    """The owners of a check: the last glob that matches decides; a bare subject stands for all its checks."""
    found: tuple[str, ...] = ()
    for glob, names in owners:
        if fnmatchcase(check, glob) or check.partition(".")[0] == glob:
            found = names
    return list(found)
