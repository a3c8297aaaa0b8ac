# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retention policy as data: classes with their folders, limits and floors, read and refused in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.grounds import may_hold_logs, normal
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.globs import covering, parse_glob
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.keep import Budget, Limits

#: Days that the guides keep each class.
DAYS: Mapping[str, float] = {"application": 90, "database": 30, "system": 365}
AUDIT = "audit"
#: Records of who did what: no retention of ours ever reaches into these, whatever the policy names.
AUDIT_FOLDERS = ("/var/log/audit", "/var/log/sudo-io", "/var/log/tlog")

POLICY_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "class": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "path", "required": True},
    "days": {"type": "float"},
    "keep_newest": {"type": "int"},
    "keep_days": {"type": "float"},
    "max_files": {"type": "int", "default": 0},
    "max_bytes": {"type": "bytes", "default": "0"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "names": {"type": "list", "elements": "str", "default": []},
    "recurse": {"type": "bool", "default": True},
}
JOURNAL_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "days": {"type": "float"},
    "max_bytes": {"type": "bytes"},
}
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "policy": {"type": "list", "elements": "dict", "default": [], "options": POLICY_ARGUMENTS},
    "journal": {"type": "dict", "options": JOURNAL_ARGUMENTS},
    "hold": {"type": "list", "elements": "str", "default": []},
    "keep_newest": {"type": "int", "default": 2},
    "keep_days": {"type": "float", "default": 7},
    "budget_files": {"type": "int", "default": 500},
    "budget_bytes": {"type": "bytes", "default": "50G"},
    "budget_percent": {"type": "float", "default": 80},
    "checksum": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Root:
    """A folder of the policy. ``limits`` None is the audit class: nothing is done in it.

    ``names`` are globs of names of logs that are not called like one.
    """

    kind: str
    path: str
    limits: Limits | None
    exclude: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    recurse: bool = True


@dataclass(frozen=True)
class JournalLimits:
    """What may stay of the journal; ``days`` or ``most_bytes`` is None where it is not limited."""

    days: float | None
    most_bytes: int | None
    least_days: float


@dataclass(frozen=True)
class Policy:
    """All that the options say, roots in the order of the options."""

    roots: tuple[Root, ...]
    journal: JournalLimits | None
    hold: tuple[str, ...]
    budget: Budget
    checksum: bool

    def root_of(self, path: str) -> Root | None:
        """The root that is nearest above a path: a folder with a policy of its own is left to that."""
        above = [root for root in self.roots if path == root.path or path.startswith(root.path + "/")]
        return max(above, key=lambda root: len(root.path), default=None)

    def holds(self, *paths: str) -> str:
        """The glob of the legal hold that covers one of the paths or a folder above it; empty for none."""
        return covering(self.hold, *paths)


def parse(params: Mapping[str, Any]) -> Policy:
    """The policy of a task. Raises OptionError."""
    for option, least, most, expected in (
        ("keep_newest", 1, 10000, "a whole number of generations from 1 to 10000"),
        ("keep_days", 1, 3650, "days from 1 to 3650"),
        ("budget_files", 1, 5000, "a whole number of files from 1 to 5000"),
        ("budget_bytes", 0, 2**60, "a size such as 50G, or 0 for no limit"),
        ("budget_percent", 1, 100, "a percentage from 1 to 100"),
    ):
        require_between(params[option], least, most, option=option, expected=expected)
    hold = tuple(parse_glob(glob, option=f"hold[{at}]") for at, glob in enumerate(params["hold"]))
    if not params["policy"] and params["journal"] is None:
        raise OptionError("policy", params["policy"], "given unless 'journal' is: at least one class with its folders")
    roots = [root for at, entry in enumerate(params["policy"]) for root in _roots(entry, params, f"policy[{at}]")]
    _refuse_twins(roots)
    return Policy(
        roots=(*roots, *(Root(AUDIT, folder, None) for folder in AUDIT_FOLDERS if not _names(roots, folder))),
        journal=_journal(params["journal"], params["keep_days"]),
        hold=hold,
        budget=Budget(files=params["budget_files"], bytes=params["budget_bytes"], percent=params["budget_percent"]),
        checksum=params["checksum"],
    )


def _names(roots: Sequence[Root], folder: str) -> bool:
    return any(root.path == folder for root in roots)


def _roots(entry: Mapping[str, Any], params: Mapping[str, Any], place: str) -> list[Root]:
    kind = entry["class"]
    if not kind.strip():
        raise OptionError(f"{place}.class", kind, f"a name such as {', '.join(DAYS)} or {AUDIT}")
    if not entry["paths"]:
        raise OptionError(f"{place}.paths", entry["paths"], "a list with at least one folder")
    limits = None if kind == AUDIT else _limits(entry, params, place)
    if kind == AUDIT:
        for option in ("days", "keep_newest", "keep_days"):
            if entry[option] is not None:
                raise OptionError(
                    f"{place}.{option}", entry[option], f"absent: nothing is ever removed of class {AUDIT}"
                )
    exclude = tuple(parse_glob(glob, option=f"{place}.exclude[{at}]") for at, glob in enumerate(entry["exclude"]))
    names = tuple(_name(glob, f"{place}.names[{at}]") for at, glob in enumerate(entry["names"]))
    roots = []
    for at, path in enumerate(entry["paths"]):
        folder = _folder(path, f"{place}.paths[{at}]")
        if limits and any(folder == one or folder.startswith(one + "/") for one in AUDIT_FOLDERS):
            raise OptionError(
                f"{place}.paths[{at}]", path, f"of class {AUDIT}: nothing is ever removed of audit records"
            )
        roots.append(Root(kind, folder, limits, exclude, names, entry["recurse"]))
    return roots


def _limits(entry: Mapping[str, Any], params: Mapping[str, Any], place: str) -> Limits:
    kind, days = entry["class"], entry["days"]
    if days is None:
        if kind not in DAYS:
            raise OptionError(f"{place}.days", days, f"given for class '{kind}': only {', '.join(DAYS)} have a default")
        days = DAYS[kind]
    newest = params["keep_newest"] if entry["keep_newest"] is None else entry["keep_newest"]
    least = params["keep_days"] if entry["keep_days"] is None else entry["keep_days"]
    require_between(newest, 1, 10000, option=f"{place}.keep_newest", expected="a whole number from 1 to 10000")
    require_between(least, 1, 3650, option=f"{place}.keep_days", expected="days from 1 to 3650")
    expected = f"days from {least:g}, which is the floor (keep_days), to 36500"
    require_between(days, least, 36500, option=f"{place}.days", expected=expected)
    for option in ("max_files", "max_bytes"):
        require_between(entry[option], 0, 2**60, option=f"{place}.{option}", expected="0 for no limit, or more")
    return Limits(
        days=days, newest=newest, least_days=least, most_files=entry["max_files"], most_bytes=entry["max_bytes"]
    )


def _name(glob: str, place: str) -> str:
    if "/" in glob or not any(sign.isalpha() for sign in glob):
        raise OptionError(
            place, glob, "a glob of names of logs, with a letter and without '/', such as worker or *.csv"
        )
    return glob


def _folder(path: str, place: str) -> str:
    folder = normal(path)
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise OptionError(place, path, "the absolute path of a folder, without '..'")
    if not may_hold_logs(folder):
        raise OptionError(place, path, "a folder of logs such as /var/log/shop, not one of the system's own")
    return folder


def _refuse_twins(roots: Sequence[Root]) -> None:
    seen: set[str] = set()
    for root in roots:
        if root.path in seen:
            raise OptionError("policy", root.path, "a list that names each folder once")
        seen.add(root.path)


def _journal(raw: Mapping[str, Any] | None, least_days: float) -> JournalLimits | None:
    if raw is None:
        return None
    days, most = raw["days"], raw["max_bytes"]
    if days is None and most is None:
        raise OptionError("journal", dict(raw), "a mapping with days, max_bytes or both")
    if days is not None:
        expected = f"days from {least_days:g}, which is the floor (keep_days), to 36500"
        require_between(days, least_days, 36500, option="journal.days", expected=expected)
    if most is not None:
        require_between(most, 16 * 1024**2, 2**60, option="journal.max_bytes", expected="a size of at least 16M")
    return JournalLimits(days=days, most_bytes=most, least_days=least_days)
