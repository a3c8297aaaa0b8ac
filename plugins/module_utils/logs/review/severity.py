# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The level that a line gives itself. ``0 errors`` and a path with ``error`` in it are no level, and make no error.

Sources: syslog(3), ngx_core_module (error_log), Apache mod_log_config (ErrorLogFormat), PostgreSQL "Message Severity
Levels", MySQL "Error Log Output Format", java.util.logging.Level, Python logging.
"""

from __future__ import annotations

import re
from typing import Literal

Level = Literal["fatal", "error", "warning", "low"]
RANK: dict[str, int] = {"low": 0, "warning": 1, "error": 2, "fatal": 3}

_WORDS: dict[str, Level] = {
    **dict.fromkeys(("emerg", "emergency", "alert", "panic", "fatal", "critical", "crit"), "fatal"),
    **dict.fromkeys(("error", "err", "severe"), "error"),
    **dict.fromkeys(("warning", "warn"), "warning"),
    **dict.fromkeys(
        ("notice", "note", "info", "information", "log", "debug", "trace", "verbose", "fine", "finer", "finest",
         "system", "detail", "hint", "statement", "context", "query", "audit", "success"),
        "low",
    ),
}  # fmt: skip
_ANY = "|".join(sorted(_WORDS, key=len, reverse=True))
_UPPER = _ANY.upper()
#: What a level stands in: brackets, a field, capitals of its own, or the beginning of the message before a colon.
_OWN = re.compile(
    rf"""[\[<(|]\s{{0,4}}(?i:(?:[a-z_0-9]{{1,20}}:)?({_ANY}))\s{{0,4}}[\]>)|]
    |(?i:(?<![a-z0-9])(?:level|lvl|severity|loglevel|log\.level|levelname|level_name)["']?\s{{0,2}}[=:]\s{{0,2}}["']?
        ({_ANY})(?![a-z0-9]))
    |(?<![\w/.=&?%+\-'"$@\#])({_UPPER})(?![\w/.=&?%+\-'"@\#])
    |(?:^|[:\]>|)\-]\s{{1,2}}|\dZ?\s)(?i:({_ANY})):(?:\s|$)
    # Monolog's channel and level: [2026-11-25T10:00:00+00:00] production.ERROR: ...
    |^\[[^\]]{{10,40}}\]\s[\w-]{{1,40}}\.({_UPPER}):\s
    """.encode(),
    re.VERBOSE,
)
#: klog, which Kubernetes and its kin write: the level is the first letter.
_KLOG = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\] ")
_KLOG_LEVELS: dict[bytes, Level] = {b"I": "low", b"W": "warning", b"E": "error", b"F": "fatal"}
#: What tells of an error without a level.
_FATAL_WITHOUT_LEVEL = re.compile(
    rb"(?:^|\s)panic: |fatal error: |[Ss]egmentation fault|segfault at |core dumped|[Oo]ut of memory: |oom-kill"
    rb"|kernel BUG at |Kernel panic |BUG: unable to handle |^thread '[^']{0,80}' (?:\(\d+\) )?panicked at "
    rb"|^terminate called (?:after throwing|without an active) "
)
_ERROR_WITHOUT_LEVEL = re.compile(
    rb"Traceback \(most recent call last\):|^Exception in thread|[Uu]nhandled (?:promise )?(?:rejection|exception)"
    rb"|[Uu]ncaught [A-Za-z]*(?:Error|[Ee]xception)"
    rb"|(?:^|\s)(?:[A-Za-z_$][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error)(?=:|\s|$)"
    rb"|^(?:[A-Z]\w{0,60})?(?:Error|Exception)(?::\s|$)"
    # A disk that fails, in a file of syslog, to which the kernel's own level does not come.
    rb"|\bI/O error\b|\b(?:EXT[234]-fs|BTRFS|F2FS-fs) (?:error|critical) \(|\bXFS \([\w-]{1,32}\): .{0,60}[Ee]rror"
    # The console of .NET.
    rb"|^fail: "
)
#: A request in the common or combined format says how a client was answered; its review is access_log_review.
_REQUEST = re.compile(rb'\S+ \S+ \S+ \[[^\]]{10,40}\] "')
_LOOKED_AT = 2000


def own_level(line: bytes) -> Level | None:
    """The level of a line of text, of its first 2,000 bytes; None where it gives none and tells of no error."""
    if _REQUEST.match(line):
        return None
    found = _OWN.search(line, 0, _LOOKED_AT)
    if found:
        word = next(group for group in found.groups() if group)
        return _WORDS[word.decode().lower()]
    klog = _KLOG.match(line)
    if klog:
        return _KLOG_LEVELS[klog.group(1)]
    if _FATAL_WITHOUT_LEVEL.search(line, 0, _LOOKED_AT):
        return "fatal"
    return "error" if _ERROR_WITHOUT_LEVEL.search(line, 0, _LOOKED_AT) else None


def named_level(word: str) -> Level | None:
    """The level of a word in a field of its own, such as ``ERROR`` or ``WARNING``; None for one that is unknown."""
    return _WORDS.get(word.strip().lower())


def syslog_level(priority: int) -> Level:
    """The level of a syslog priority, 0 (emerg) to 7 (debug)."""
    return "fatal" if priority <= 2 else "error" if priority == 3 else "warning" if priority == 4 else "low"
