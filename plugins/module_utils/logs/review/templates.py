# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is the same in lines that tell of the same thing: the message without what changes from one to the next.

Numbers, addresses, paths, quoted texts, identifiers and e-mail addresses go out. What is left tells errors apart and
can be counted.
"""

from __future__ import annotations

import hashlib
import re

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.hidden import hide

LENGTH = 300
_READ = 2000

_STAMP = re.compile(
    rb"[\[(<]?(?:\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?"
    rb"(?:Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|[A-Z]{1,3}[SD]T|CET|EET|WET|MSK)\b)?"
    rb"|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{4})?"
    rb"|\d{6} +\d{1,2}:\d\d:\d\d)[\])>]?\s*"
)
#: The host of a line that a syslog daemon wrote, in the old form, or in the new one before a program with its process.
_HOST = re.compile(rb"[A-Za-z0-9._:-]{1,64} (?=[\w./@-]{1,64}(?:\[\d+\])?: )")
_HOST_BEFORE_PROCESS = re.compile(rb"[A-Za-z0-9._:-]{1,64} (?=[\w./@-]{1,64}\[\d+\]: )")
#: The text of a statement, behind what PostgreSQL and its clients write in front of one: it may hold anything.
_STATEMENT = re.compile(
    rb"(\b(?:STATEMENT|QUERY|LINE \d{1,9}|Failed process was running"
    rb"|LOG:\s+(?:duration: [\d.]{1,20} ms\s+)?(?:statement|(?:execute|parse|bind|fetch from) [^\s:]{1,80})):"
    rb"|\[(?:SQL|parameters):)\s[\s\S]*"
)
#: The values of a row that PostgreSQL shows.
_ROW = re.compile(rb"(\bKey \(.{1,300}?\)=|\bFailing row contains )(?:\(.*\)|\(.*)")
#: A text runs to the last quote in front of what ends it, as in 'Conan O'Brien', or to the end of what is looked at.
_VARIABLE = re.compile(
    rb"""(?P<text>"(?:[^"\\]+|\\[\s\S]|\\\Z)*(?:"|\Z)
        |(?:(?<!\w)|(?<=\b[BbEeNnRrUuXx])|(?<=\b[Uu]&))'(?:[^'\\]+|''|'(?=\w)|\\[\s\S]|\\\Z)*(?:'|\Z)
        |`[^`]*`
        |(?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w{0,61})?)\$[\s\S]*?(?:\$(?P=tag)\$|\Z))
    |(?P<url>\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s"'<>,;)]{1,500})
    |(?P<email>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){0,8})
    |(?P<uuid>\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b)
    |(?P<address>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.])
        |(?<![\w:])(?!\d\d:\d\d:\d\d(?![\w:]))(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){0,7}(?![\w:])|(?<![\w:])::(?:1|ffff:[\d.]+)(?!\w))
    |(?P<hex>\b0x[0-9A-Fa-f]+\b|\b(?=[A-Fa-f]{0,64}\d)(?=\d{0,127}[A-Fa-f])[0-9A-Fa-f]{8,128}\b)
    |(?P<token>\b(?=[A-Za-z_-]{0,40}\d)[A-Za-z0-9_-]{24,500}\b)
    |(?P<path>(?<![\w<.])(?:~|\.{1,2})?(?:/[\w.@%+~:=-]{1,200}){2,40}/?|\b[A-Za-z]:\\[^\s"']{1,300})
    |(?P<n>\d+(?:[.,:]\d+)*)
    """,
    re.VERBOSE,
)
_SPACE = re.compile(rb"\s+")


def _name(found: re.Match[bytes]) -> bytes:
    return b"<" + (found.lastgroup or "").encode() + b">"


def template(message: bytes) -> str:
    """The message with a name in the place of whatever changes: ``connect() to <address> failed (<n>: refused)``."""
    head = _STAMP.match(message)
    rest = message[head.end() if head else 0 :][:_READ]
    host = (_HOST if message[:1].isalpha() else _HOST_BEFORE_PROCESS).match(rest) if head else None
    if host:
        rest = rest[host.end() :]
    rest = _ROW.sub(rb"\1(<text>)", _STATEMENT.sub(rb"\1 <statement>", rest))
    masked = _SPACE.sub(b" ", hide(_VARIABLE.sub(_name, rest)))
    return clean(masked.decode("utf-8", "replace"), limit=LENGTH)


def fingerprint(source: str, text: str) -> str:
    """A short id for a template of a source."""
    return hashlib.sha256(f"{source}\0{text}".encode()).hexdigest()[:16]


_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")


def example(message: bytes) -> str:
    """The message as it was written, but for secrets, e-mail addresses, logged statements and rows."""
    shown = _ROW.sub(rb"\1(<text>)", _STATEMENT.sub(rb"\1 <statement>", message[:_READ]))
    shown = hide(shown)
    return clean(_MAIL.sub("<email>", shown.decode("utf-8", "replace")), limit=LENGTH)
