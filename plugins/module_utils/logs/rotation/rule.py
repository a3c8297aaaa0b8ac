# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that a task asks for: read from its options, refused in one sentence, written as logrotate reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.grounds import may_be_log, normal
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    FOLDER,
    TABOO,
    overlap,
)

MARK = "# Written by fleetcare.maintenance.log_rotate; changes by hand are lost with its next run."

TELL_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "unit": {"type": "str", "required": True},
    "signal": {"type": "str"},
}
RULE_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "paths": {"type": "list", "elements": "str", "default": []},
    "frequency": {"type": "str", "choices": ["hourly", "daily", "weekly", "monthly"], "default": "weekly"},
    "keep": {"type": "int", "default": 12},
    "max_size": {"type": "bytes", "default": "0"},
    "max_age_days": {"type": "int", "default": 0},
    "compress": {"type": "bool", "default": True},
    "date_names": {"type": "bool", "default": False},
    "copy_truncate": {"type": "bool", "default": False},
    "tell": {"type": "dict", "options": TELL_ARGUMENTS},
    "reopens": {"type": "bool", "default": False},
    "create": {"type": "str"},
    "run_as": {"type": "str"},
    "replace": {"type": "bool", "default": False},
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: What a path in quotes can hold without meaning anything else to logrotate.
_PATH = re.compile(r"/[^\x00-\x1f\x7f\"'\\{}]+")
#: What a rotation puts behind the name of a log.
_ADDED = re.compile(r"(?:\.[0-9]{1,3}|[-.][0-9]{8}|\.(?:gz|bz2|xz|zst|lz4|lzma|Z))$")
#: A glob that ends in less than ``log`` or ``err`` matches too much.
_LEAST_ENDING = 3
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}")
_SIGNAL = re.compile(r"(?:SIG)?(?:HUP|USR1|USR2|TERM|WINCH)")
_CREATE = re.compile(r"0?[0-7]{3} [A-Za-z0-9_][A-Za-z0-9_.-]* [A-Za-z0-9_][A-Za-z0-9_.-]*")
_RUN_AS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]* [A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Wanted:
    """A rule as the task wants it; ``text`` is the whole file, empty where the rule is not to be there."""

    name: str
    paths: tuple[str, ...]
    text: str
    leaves_file: bool
    tells: bool
    replace: bool

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.name}"

    @property
    def present(self) -> bool:
        return bool(self.text)


def parse_rules(raw: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """The rules of a task. Raises OptionError."""
    wanted = [_parse(entry, f"rules[{at}]") for at, entry in enumerate(raw)]
    seen: dict[str, Wanted] = {}
    for at, rule in enumerate(wanted):
        if rule.name in seen:
            raise OptionError(f"rules[{at}].name", rule.name, "unlike the name of every other rule")
        for other in seen.values():
            for mine in rule.paths:
                for theirs in other.paths:
                    if overlap(mine, theirs):
                        expected = f"in one rule alone: rule '{other.name}' names {theirs}"
                        raise OptionError(f"rules[{at}].paths", mine, expected)
        seen[rule.name] = rule
    return wanted


def check_name(name: str, *, option: str) -> str:
    """The name of a file in /etc/logrotate.d that logrotate reads. Raises OptionError."""
    if not _NAME.fullmatch(name) or any(fnmatchcase(name, pattern) for pattern in TABOO):
        expected = (
            "the name of a file in /etc/logrotate.d: letters, digits, dots, dashes and underscores, without an ending "
            "such as .bak that logrotate leaves out"
        )
        raise OptionError(option, name, expected)
    return name


def _parse(entry: Mapping[str, Any], place: str) -> Wanted:
    name = check_name(entry["name"], option=f"{place}.name")
    if entry["state"] == "absent":
        return Wanted(name, (), "", leaves_file=True, tells=False, replace=entry["replace"])
    _require(entry, place)
    return Wanted(
        name=name,
        paths=tuple(entry["paths"]),
        text=render(entry),
        leaves_file=entry["copy_truncate"],
        tells=entry["tell"] is not None or entry["reopens"],
        replace=entry["replace"],
    )


def _require(entry: Mapping[str, Any], place: str) -> None:
    if not entry["paths"]:
        raise OptionError(f"{place}.paths", entry["paths"], "a list with at least one path or glob")
    for at, path in enumerate(entry["paths"]):
        if not _PATH.fullmatch(path) or "/../" in path or path.endswith("/"):
            expected = "the absolute path of a log, or a glob, without quotes, braces, backslashes and '..'"
            raise OptionError(f"{place}.paths[{at}]", path, expected)
        if not may_be_log(normal(path)):
            expected = "a log such as /srv/shop/logs/app.log, not a file of the system or of a program's data"
            raise OptionError(f"{place}.paths[{at}]", path, expected)
        if _names_rotated(path.rpartition("/")[2]):
            expected = "a log or a glob that does not match rotated logs too, such as /srv/shop/logs/*.log"
            raise OptionError(f"{place}.paths[{at}]", path, expected)
        for other in entry["paths"][:at]:
            if overlap(path, other):
                raise OptionError(f"{place}.paths[{at}]", path, f"a log that {other} does not name already")
    for option, least, most, expected in (
        ("keep", 1, 10000, "a whole number of old logs from 1 to 10000"),
        ("max_size", 0, 2**50, "a size such as 100M, or 0 for none"),
        ("max_age_days", 0, 36500, "days up to 36500, or 0 for no limit"),
    ):
        require_between(entry[option], least, most, option=f"{place}.{option}", expected=expected)
    for option, form, expected in (
        ("create", _CREATE, "mode, owner and group, such as '0640 shop adm'"),
        ("run_as", _RUN_AS, "user and group, such as 'shop adm'"),
    ):
        if entry[option] is not None and not form.fullmatch(entry[option]):
            raise OptionError(f"{place}.{option}", entry[option], expected)
    if entry["copy_truncate"] and entry["create"] is not None:
        raise OptionError(
            f"{place}.create", entry["create"], "absent with copy_truncate, which leaves the log in place"
        )
    _require_tell(entry["tell"], place)


def _names_rotated(name: str) -> bool:
    """Whether a name or glob may match what a rotation renames: it has to end in something that a rotation adds to."""
    ending = re.split(r"[*?\]]", name)[-1]
    too_short = ending != name and len(ending) < _LEAST_ENDING
    return too_short or bool(_ADDED.search(ending))


def _require_tell(tell: Mapping[str, Any] | None, place: str) -> None:
    if tell is None:
        return
    if not _UNIT.fullmatch(tell["unit"]):
        raise OptionError(f"{place}.tell.unit", tell["unit"], "the name of a unit, such as nginx.service")
    if tell["signal"] is not None and not _SIGNAL.fullmatch(tell["signal"]):
        raise OptionError(f"{place}.tell.signal", tell["signal"], "HUP, USR1, USR2, TERM or WINCH")


def render(entry: Mapping[str, Any]) -> str:
    """The file of a rule. Every setting is named, so that nothing in /etc/logrotate.conf changes what it does."""
    settings = [entry["frequency"], f"maxsize {entry['max_size']}", "minsize 0", "minage 0"]
    settings += [f"rotate {entry['keep']}", "start 1", f"maxage {entry['max_age_days']}"]
    settings += ["missingok", "notifempty", "nomail", "noolddir", "nocopy", "noshred"]
    settings += ["compress", "delaycompress"] if entry["compress"] else ["nocompress"]
    if entry["date_names"]:
        settings += [
            "dateext",
            f"dateformat -%Y%m%d{'-%H%M%S' if entry['max_size'] or entry['frequency'] == 'hourly' else ''}",
        ]
    else:
        settings.append("nodateext")
    if entry["copy_truncate"]:
        settings.append("copytruncate")
    else:
        settings += ["nocopytruncate", f"create {entry['create']}" if entry["create"] else "create"]
    if entry["run_as"]:
        settings.append(f"su {entry['run_as']}")
    if entry["tell"] is not None:
        settings += ["sharedscripts", "postrotate", f"    {_command(entry['tell'])}", "endscript"]
    names = "\n".join(f'"{path}"' for path in entry["paths"])
    return f"{MARK}\n{names}\n{{\n" + "".join(f"    {setting}\n" for setting in settings) + "}\n"


def _command(tell: Mapping[str, Any]) -> str:
    unit = tell["unit"]
    verb = "reload" if tell["signal"] is None else f"kill --kill-who=main --signal={tell['signal']}"
    return f"if systemctl --quiet is-active {unit}; then systemctl {verb} {unit}; fi"
