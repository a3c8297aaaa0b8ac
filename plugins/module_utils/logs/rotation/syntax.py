# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The syntax of logrotate's configuration files: rules, their settings, and what stands outside of them.

Source: man 8 logrotate, checked against config.c of logrotate 3.21 and 3.22. What is wrong in a file says logrotate
itself (``dryrun``); this reader is for what it does not say: which settings a rule has, and from where.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SCRIPTS = frozenset(("prerotate", "postrotate", "firstaction", "lastaction", "preremove"))
FREQUENCIES = ("hourly", "daily", "weekly", "monthly", "yearly", "size", "minutes")
#: Settings that take the rest of their line.
_WITH_VALUE = frozenset(
    (
        "rotate", "olddir", "su", "weekly", "monthly", "minutes", "size", "minage", "maxage", "minsize", "maxsize",
        "tabooext", "taboopat", "create", "createolddir", "shredcycles", "compresscmd", "uncompresscmd", "compressext",
        "compressoptions", "extension", "addextension", "start", "dateformat", "mail", "include", "error",
    )
)  # fmt: skip
#: Each of a group takes the place of the others.
_RIVALS = (FREQUENCIES, ("ifempty", "notifempty"), ("mailfirst", "maillast"))
_KEYWORD = re.compile(r"[A-Za-z]+")


@dataclass
class Rule:
    """What is done with the logs that match; ``settings`` has the value of each, empty for one that takes none."""

    file: str
    line: int
    patterns: tuple[str, ...]
    settings: dict[str, str]
    scripts: set[str] = field(default_factory=set)

    @property
    def frequency(self) -> str:
        """The last of hourly, daily, weekly, monthly, yearly, size and minutes; empty where none is set."""
        return next((name for name in reversed(self.settings) if name in FREQUENCIES), "")

    @property
    def leaves_file(self) -> bool:
        """Whether the log stays the file that it is, so that who writes to it need not be told."""
        return "copytruncate" in self.settings or "copy" in self.settings


@dataclass
class _Reader:
    """The state of one pass over one file."""

    file: str
    settings: dict[str, str]
    include: Callable[[str], None]
    rules: list[Rule] = field(default_factory=list)
    rule: Rule | None = None
    names: str = ""
    names_line: int = 0
    in_script: bool = False

    def line(self, number: int, text: str) -> None:
        rest = text.strip()
        if self.in_script:
            word = _KEYWORD.match(rest)
            if not word or word.group() != "endscript":
                return
            # What stands behind it, a comment or a brace, is read on.
            self.in_script, rest = False, rest[word.end() :].lstrip()
        while rest and not rest.startswith("#"):
            if self.names or (self.rule is None and rest[0] in "/\"'~"):
                rest = self._names(number, rest)
            elif rest[0] == "}":
                self.rule = None
                rest = rest[1:].lstrip()
            else:
                rest = self._setting(rest)

    def _names(self, number: int, rest: str) -> str:
        self.names_line = self.names_line if self.names else number
        before, brace, after = rest.partition("{")
        self.names += before + " "
        if not brace:
            return ""
        try:
            patterns = shlex.split(self.names)
        except ValueError:
            patterns = self.names.split()
        self.rule = Rule(self.file, self.names_line, tuple(patterns), dict(self.settings))
        self.rules.append(self.rule)
        self.names = ""
        return after.lstrip()

    def _setting(self, rest: str) -> str:
        found = _KEYWORD.match(rest)
        if not found:
            return ""
        word, after = found.group(), rest[found.end() :].lstrip(" \t=")
        if word in SCRIPTS:
            if self.rule:
                self.rule.scripts.add(word)
            self.in_script = True
            return ""
        if word == "include":
            self.include(after.strip("\"'"))
            return ""
        takes_value = word in _WITH_VALUE
        apply(self.rule.settings if self.rule else self.settings, word, after.strip() if takes_value else "")
        return "" if takes_value else after


def apply(settings: dict[str, str], word: str, value: str) -> None:
    """Let a setting take its place as the last one, and take away those that it stands against."""
    for rivals in _RIVALS:
        if word in rivals:
            for rival in rivals:
                settings.pop(rival, None)
    opposite = word[2:] if word.startswith("no") and word != "notifempty" else ""
    settings.pop(word, None)
    if opposite:
        settings.pop(opposite, None)
    else:
        settings[word] = value


def parse(text: str, *, file: str, settings: dict[str, str], include: Callable[[str], None]) -> list[Rule]:
    """The rules of one file. ``settings`` hold outside of rules: they are inherited, and changed by the file.

    ``include`` is called with the path of each include where it stands, as what it reads comes into force there.
    """
    reader = _Reader(file=file, settings=settings, include=include)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.line(number, line)
    return reader.rules


def written(settings: Mapping[str, str]) -> str:
    """Settings as a configuration file has them, a line each."""
    return "".join(f"{name} {value}".rstrip() + "\n" for name, value in settings.items())
