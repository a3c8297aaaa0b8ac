# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stack traces: which lines belong to the line before, and what of a trace tells it from others.

Python, Java and its kin, Node.js and Go; indented lines belong to the line above them in any language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_LINES = 200

_JOINS = re.compile(
    rb"Traceback \(most recent call last\):|Caused by: |Suppressed: |During handling of the above exception"
    rb"|The above exception was the direct cause|goroutine \d+ \[|\[signal |\.\.\. \d+ (?:more|common frames)"
    rb"|exit status \d|Node\.js v\d"
)
_EXCEPTION = re.compile(
    rb"(?:[A-Za-z_$][\w$]*\.)*[A-Z_a-z$][\w$]*(?:Exception|Error|Throwable|Exit|Interrupt|Warning)\b"
)
_ENDS_PYTHON = re.compile(rb"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::\s|$)")
_PYTHON_FRAME = re.compile(rb'\s*File "(?:[^"]{0,300}/)?([^"/]{1,200})", line \d+, in (\S{1,200})')
_OTHER_FRAME = re.compile(rb"\s*at (?:async )?(?:new )?([\w$.<>\[\] ]{1,200}?)\s*\(|\s*at (\S{1,200})")
#: What PostgreSQL's clients write below an exception: rows and statements of the user's, and no exception.
_BESIDE = re.compile(rb"(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT|LINE \d+): ")
TRACEBACK = b"Traceback (most recent call last):"


def continues(text: bytes, lines: Sequence[bytes]) -> bool:
    """Whether a line goes on from an event whose lines so far are given, without any prefix."""
    if len(lines) >= MOST_LINES:
        return False
    if text[:1] in (b" ", b"\t"):
        return True
    if _JOINS.match(text):
        return True
    if TRACEBACK in lines[-1] or lines[-1][:1] in (b" ", b"\t"):
        # What ends Python's trace is not indented: the exception and its text.
        return any(TRACEBACK in line for line in lines) and bool(_ENDS_PYTHON.match(text))
    # Java and Node.js put the exception in a line of its own below the message.
    return len(lines) == 1 and TRACEBACK not in lines[0] and bool(_EXCEPTION.match(text))


def stands_alone(shape: bytes) -> bool:
    """Whether a line of this shape, with zeros for its numbers, never goes on from another such line."""
    return not (shape[:1] in (b" ", b"\t", b"") or TRACEBACK in shape or _JOINS.match(shape) or _EXCEPTION.match(shape))


def may_follow_blank(text: bytes) -> bool:
    """Whether a line can belong to an event although a blank line is in between."""
    return bool(_JOINS.match(text))


def is_crash(text: bytes) -> bool:
    """Whether a line of a trace says that its program ended: Node.js then names its version."""
    return text.startswith(b"Node.js v")


def essence(lines: Sequence[bytes]) -> bytes:
    """What tells one trace from another: the message, the exception, and the place that raised it."""
    head = lines[0]
    others = [line for line in lines[1:] if line[:1] not in (b" ", b"\t") and not _JOINS.match(line)]
    exceptions = [line for line in others if not _BESIDE.match(line)]
    causes = [line for line in lines[1:] if line.startswith(b"Caused by: ")]
    parts = [] if TRACEBACK in head and exceptions else [head]
    if causes:
        parts.append(causes[-1])
    elif exceptions:
        parts.append(exceptions[-1])
    frame = _place(lines)
    return b" | ".join(parts) + (b" in " + frame if frame else b"")


def _place(lines: Sequence[bytes]) -> bytes:
    python = [found for found in map(_PYTHON_FRAME.match, lines) if found]
    if python:
        return python[-1].group(1) + b" " + python[-1].group(2)
    for line in lines[1:]:
        found = _OTHER_FRAME.match(line)
        if found:
            return found.group(1) or found.group(2)
    return b""
