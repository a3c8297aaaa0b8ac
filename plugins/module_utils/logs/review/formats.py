# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats of logs as a table: what the sieve looks for, and how a line that passed it is read.

A format turns a line into an ``Entry``; what should have the format and has not is None, and counts as not understood.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import (
    RANK,
    Level,
    named_level,
    own_level,
    syslog_level,
)


@dataclass(frozen=True)
class Entry:
    """A line as its format has it: the text without prefix, the level (None: none), and whose line it is."""

    text: bytes
    level: Level | None
    writer: bytes = b""


@dataclass(frozen=True)
class Format:
    """``sieve`` is for errors, ``warnings`` what it needs beside for warnings; ``plain``: a line is its own text.

    What ``notable`` finds in an entry's text is told although the server gives it no level of an error.
    """

    name: str
    sieve: str
    warnings: str
    read: Callable[[bytes], Entry | None]
    plain: bool = False
    notable: Callable[[bytes], object] | None = None


#: Every word that ``severity`` knows an error by, or an end of it. What makes grep slow is how often a line has a byte
#: with which a word begins, so words begin with few different ones here, and first of all with an ``e``, as most have
#: one; where an end is in other words too (catalina, organic), what stands behind the word is asked for.
_WORDS = r"err|emerg|evere|exception|eback \(most|ed (promise )?rejection|alert|atal([^a-z]|$)|anic([^a-z]|$)|crit"
_CRASHES = r"egfault|entation fault|e dumped|emory: |ernel bug|kill|able to handle|anicked at|erminate called|^fail: "
_TEXT = rf"{_WORDS}|{_CRASHES}|^[ef][0-9]|\]: ( |#011)|^[[:space:]]|^node\.js v[0-9]"

#: ``Nov 25 10:00:00 host program[123]: `` or the same with an ISO time: rsyslog's two formats, and journalctl's.
#: busybox's syslogd writes facility and severity, as in ``user.err``, in front of the program.
_SYSLOG = re.compile(
    rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.:+Z-]*) "
    rb"\S{1,64} (?:[a-z0-9]{1,12}\.(?P<severity>[a-z]{1,8}) )?(?P<writer>[\w./@()-]{1,64}(?:\[\d+\])?): "
)
_SEVERITIES: Mapping[bytes, Level] = {
    b"emerg": "fatal", b"alert": "fatal", b"crit": "fatal", b"err": "error", b"warn": "warning",
}  # fmt: skip


def read_text(line: bytes) -> Entry:
    """A line of words, perhaps behind the prefix of a syslog daemon."""
    prefix = _SYSLOG.match(line)
    if prefix is None:
        return Entry(line, own_level(line), b"")
    text = line[prefix.end() :].replace(b"#011", b"\t")
    return Entry(text, own_level(text) or _SEVERITIES.get(prefix["severity"] or b""), prefix["writer"])


_LEVEL_FIELDS = ("level", "severity", "lvl", "levelname", "level_name", "loglevel", "log.level", "severity_text", "s")
_MESSAGE_FIELDS = ("msg", "message", "error", "err", "event", "text", "log", "body")
_TRACE_FIELDS = ("stack", "stack_trace", "stacktrace", "exc_info", "exception", "traceback", "error.stack_trace")
#: The numbers of bunyan and pino.
_NUMBERS: Mapping[int, Level] = {10: "low", 20: "low", 30: "low", 40: "warning", 50: "error", 60: "fatal"}


def read_json(line: bytes) -> Entry:
    """An object a line, as structured loggers write it; a program that crashes writes plain lines in between."""
    fields = _object(line)
    if fields is None:
        return read_text(line)
    nested = fields.get("log")
    raw = next((fields[name] for name in _LEVEL_FIELDS if name in fields), None)
    if raw is None and isinstance(nested, dict):
        raw = nested.get("level")
    level = _NUMBERS.get(raw) if isinstance(raw, int) else named_level(str(raw)) if raw is not None else None
    text = next((_words(fields[name]) for name in _MESSAGE_FIELDS if fields.get(name) not in (None, "")), "")
    trace = next((_words(fields[name]) for name in _TRACE_FIELDS if fields.get(name)), "")
    if not trace and isinstance(fields.get("err"), dict):
        trace = _words(fields["err"].get("stack") or "")
    whole = f"{text}\n{trace}" if trace and trace != text else text
    return Entry(whole.encode("utf-8", "replace"), level)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("message") or value.get("msg") or value.get("type") or "")
    return value if isinstance(value, str) else json.dumps(value)[:2000]


_PRIORITIES = frozenset("01234567")


def read_journal(line: bytes) -> Entry | None:
    """An entry of ``journalctl -o json``: its priority, or the level in the text of what was written to an output."""
    fields = _object(line)
    if fields is None:
        return None
    message = fields.get("MESSAGE")
    if isinstance(message, list):
        try:
            text = bytes(message)
        except (ValueError, TypeError):
            text = b""
    else:
        text = str(message or "").encode("utf-8", "replace")
    writer = str(fields.get("_SYSTEMD_UNIT") or fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or "")
    # Whoever writes to the journal's socket sets this field as he likes.
    priority = str(fields.get("PRIORITY"))
    given = syslog_level(int(priority)) if priority in _PRIORITIES else "low"
    said = own_level(text)
    if given == "low" and said is not None:
        given = said
    return Entry(text, given, f"{writer}[{fields.get('_PID') or ''}]".encode())


#: Columns of PostgreSQL's csvlog, of which each version only appends more.
_CSV_SEVERITY, _CSV_MESSAGE = 11, 13
_CSV_BEGINS = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [^,]{1,40},")
#: What PostgreSQL says at the level LOG, and somebody should know. Only at the beginning of a message, for a logged
#: statement may say anything.
_NOTABLE = re.compile(
    rb"(?:LOG|WARNING): (?:temporary file: |skipping (?:vacuum|analyze) of |checkpoints are occurring too frequently"
    rb"|database system was (?:interrupted|not properly shut down)|process \d+ still waiting for "
    rb"|archive command (?:failed|was terminated)|canceling autovacuum task"
    rb"|(?:[\w ]{1,40} process|background worker).{0,100} was terminated by signal )"
)
_NOTABLE_WORDS = (
    r"temporary file|skipping (vacuum|analyze) of|occurring too frequently|terminated by signal|was interrupted"
    r"|not properly shut down|still waiting for|archive command failed|canceling autovacuum"
)


def read_postgresql_csv(line: bytes) -> Entry | None:
    """A row of csvlog; a text with line breaks goes on in lines that are none of their own."""
    if not _CSV_BEGINS.match(line):
        return Entry(b" " + line, None)
    try:
        row = next(csv.reader([line.decode("utf-8", "replace")]))
    except (csv.Error, StopIteration):
        return None
    if len(row) <= _CSV_MESSAGE:
        return None
    return _postgresql(row[_CSV_SEVERITY], row[_CSV_MESSAGE])


def read_postgresql_json(line: bytes) -> Entry | None:
    """An entry of jsonlog, PostgreSQL 15 and newer."""
    fields = _object(line)
    if fields is None or "error_severity" not in fields:
        return None
    return _postgresql(str(fields["error_severity"]), str(fields.get("message", "")))


_POSTGRESQL = re.compile(
    rb"(?P<prefix>.{0,300}?)(?P<severity>DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|QUERY"
    rb"|STATEMENT|LOCATION|BACKTRACE):  (?P<message>.*)",
    re.DOTALL,
)
#: A process of the server was killed or crashed, and the server throws all sessions out.
_POSTGRESQL_CRASH = re.compile(r"(?:server process|background worker|\w+ process).{0,80} was terminated by signal ")


def read_postgresql_text(line: bytes) -> Entry:
    """A line of the ordinary log, whatever ``log_line_prefix`` is: the severity has two blanks behind its colon."""
    found = _POSTGRESQL.match(line)
    if not found:
        return Entry(b" " + line, None)
    return _postgresql(found["severity"].decode(), found["message"].decode("utf-8", "replace"))


def _postgresql(severity: str, message: str) -> Entry:
    # A FATAL ends one session, often because a client was refused; a PANIC ends them all.
    level: Level | None = "error" if severity == "FATAL" else named_level(severity)
    level = "fatal" if severity == "LOG" and _POSTGRESQL_CRASH.match(message) else level
    return Entry(f"{severity}: {message}".encode("utf-8", "replace"), level, severity.encode())


_MYSQL = re.compile(rb"\S+ +(?:\d\d?:\d\d:\d\d )?\d+ \[(?P<level>\w+)\] (?:\[MY-\d+\] )?(?P<message>.*)", re.DOTALL)
_MYSQL_SERVER = re.compile(rb"MY-\d{6}|mysqld|mariadbd|MariaDB|InnoDB")
_MYSQL_CRASH = re.compile(rb"\[FATAL\]|Assertion failure|got signal \d+ ;")
#: In front of what the handler of signals writes, in place of a time and a level.
_MYSQL_HANDLER = re.compile(rb"^\S*\d\d:\d\d:\d\dZ? UTC - ")
#: What a server says of its last end when it starts.
_MYSQL_NOTABLE = re.compile(
    rb"[Ss]tarting (?:XA )?crash recovery|was not shut ?down normally|is marked as crashed|Access denied for user "
)


def read_mysql(line: bytes) -> Entry:
    """A line of the error log of MySQL or MariaDB; what has no level goes on from the line above."""
    found = _MYSQL.match(line)
    if not found:
        return Entry(_MYSQL_HANDLER.sub(b"", line), "fatal" if _MYSQL_CRASH.search(line) else own_level(line))
    level = named_level(found["level"].decode("ascii", "replace"))
    if level == "error" and _MYSQL_CRASH.search(found["message"]):
        level = "fatal"
    return Entry(b"[" + found["level"] + b"] " + found["message"], level)


#: By how much of a log its format is known, and how a line must look for that.
_BEGINNING, _FIRST_LINES = 8192, 20
_POSTGRESQL_LINE = re.compile(
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.{0,300}? (?:LOG|ERROR|FATAL|PANIC|WARNING|DETAIL|STATEMENT):  "
)
_MYSQL_LINE = re.compile(rb"\S+ +(?:\d\d?:\d\d:\d\d )?\d+ \[(?:Note|System|Warning|ERROR)\] ")

FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("text", _TEXT, "warn", read_text, plain=True),
        Format(
            "json",
            rf"{_WORDS}|{_CRASHES}|: ?(50|60)[,}}]|^[[:space:]]|^node\.js v[0-9]",
            r"warn|: ?40[,}]",
            read_json,
        ),
        Format(
            "journal",
            rf'{_WORDS}|{_CRASHES}|"priority" ?: ?"[0-3]"|"message" ?: ?"( |\\t)|"message" ?: ?\[',
            r'warn|"priority" ?: ?"4"',
            read_journal,
        ),
        Format(
            "postgresql_csv",
            rf",(error|fatal|panic),|{_NOTABLE_WORDS}",
            ",warning,",
            read_postgresql_csv,
            notable=_NOTABLE.match,
        ),
        Format(
            "postgresql_json",
            rf'"error_severity" ?: ?"(error|fatal|panic)"|{_NOTABLE_WORDS}',
            r'"error_severity" ?: ?"warning"',
            read_postgresql_json,
            notable=_NOTABLE.match,
        ),
        Format(
            "postgresql",
            rf"(error|fatal|panic):  |{_NOTABLE_WORDS}",
            "warning:  ",
            read_postgresql_text,
            notable=_NOTABLE.match,
        ),
        Format(
            "mysql",
            rf"\[error\]|{_WORDS}|{_CRASHES}|^[[:space:]]|crash recovery|not shut ?down normally|got signal"
            r"|marked as crashed|access denied for user ",
            r"\[warning\]",
            read_mysql,
            notable=_MYSQL_NOTABLE.search,
        ),
    )
}


def recognise(block: bytes) -> Format:
    """The format of a log by the first lines of a block of it."""
    lines = block[:_BEGINNING].lstrip(b"\0").split(b"\n")[:_FIRST_LINES]
    if lines[0][:1] == b"{":
        fields = _object(lines[0]) or {}
        return FORMATS["postgresql_json" if "error_severity" in fields else "json"]
    if _CSV_BEGINS.match(lines[0]):
        return FORMATS["postgresql_csv"]
    if any(_POSTGRESQL_LINE.match(line) for line in lines):
        return FORMATS["postgresql"]
    if any(_MYSQL_LINE.match(line) and _MYSQL_SERVER.search(line) for line in lines):
        return FORMATS["mysql"]
    return FORMATS["text"]


def at_least(level: Level | None, least: Level) -> bool:
    return level is not None and RANK[level] >= RANK[least]
