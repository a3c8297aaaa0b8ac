# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that came from a host is hostile until it has passed ``clean``; figures are worded here alone."""

from __future__ import annotations

import re
from functools import lru_cache

ELLIPSIS = "…"
MAX_LINE = 300

# ECMA-48: CSI, OSC, DCS/SOS/PM/APC strings and two-character escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# C0 and C1 controls, bidirectional overrides and isolates (a line must read the way it is stored), line separators.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")
_SURROGATES = re.compile("[\ud800-\udfff]")

# MySQL says "(using password: YES)".
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,30}://[^\s/:@]{0,200}):[^\s/@]{1,200}@"), r"\1:***@"),
    (
        re.compile(r"(?i)\b(authorization|proxy-authorization|cookie|set-cookie)(\s*[:=]\s*)[^\r\n]{1,400}"),
        r"\1\2***",
    ),
    (
        re.compile(
            r"(?i)\b([a-z0-9_.-]{0,40}(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
            r"|credentials?))(\"?\s{0,3}[:=]\s{0,3})(?!(?:YES|NO)\))(\"[^\"]{0,400}\"|'[^']{0,400}'|[^\s,;&\"']{1,400})"
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,400}"), r"\1 ***"),
    (re.compile(r"(?i)(\s--?(?:p|password|passwd|pass|token|secret)(?:=|\s+))[^\s-][^\s]{0,200}"), r"\1***"),
    (
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,8000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"),
        "***",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,1000}\.[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{0,1000}"), "***"),
)


def redact(text: str) -> str:
    """Mask what looks like a password, token, key or cookie; the words around it stay readable."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def clean(text: object, *, limit: int = MAX_LINE) -> str:
    """One printable line: no control or escape sequences, no secrets, at most ``limit`` characters.

    Cut before it is searched (eight times the limit is looked at), so a line of megabytes costs nothing.
    """
    raw = text if isinstance(text, str) else str(text)
    return _cleaned(raw[: limit * 8], limit)


# Items come back in every finding and metric, and the search for secrets is what costs.
@lru_cache(maxsize=1024)
def _cleaned(raw: str, limit: int) -> str:
    raw = _ESCAPES.sub("", raw)
    raw = _CONTROLS.sub(" ", raw)
    raw = _SURROGATES.sub("\ufffd", raw)
    raw = redact(raw).strip()
    return shorten(raw, limit=limit)


def shorten(text: str, *, limit: int) -> str:
    """At most ``limit`` characters, the cut marked with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def number(value: float) -> str:
    """A plain figure: integers whole, others with up to three significant decimals, never in exponent form."""
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    size = abs(value)
    digits = 1 if size >= 10 else 2 if size >= 1 else 3
    worded = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if worded in ("-0", "") else worded


def quantity(value: float, unit: str) -> str:
    """A figure with its unit as people write it: ``85.6 %``, ``1.5 GiB``, ``2 h 5 min``, ``12``."""
    if unit in ("B", "B/s"):
        return _binary(value) + unit[1:]
    if unit == "s":
        return duration(value)
    if unit in ("", "count"):
        return number(value)
    return f"{number(value)} {unit}"


def _binary(value: float) -> str:
    size, sign = abs(float(value)), "-" if value < 0 else ""
    for prefix in ("", "Ki", "Mi", "Gi", "Ti"):
        if round(size, 1) < 1024:
            return f"{sign}{number(round(size, 1))} {prefix}B"
        size /= 1024
    return f"{sign}{number(round(size, 1))} PiB"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter: ``350 ms``, ``1.2 s``, ``3 min 20 s``, ``2 d 4 h``."""
    size, sign = abs(seconds), "-" if seconds < 0 else ""
    if 0 < size < 1:
        return f"{sign}{number(size * 1000)} ms"
    if size < 60:
        return f"{sign}{number(round(size, 2))} s"
    whole = round(size)
    for large, large_name, small, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= large:
            rest = whole % large // small
            return f"{sign}{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
    return f"{sign}{whole} s"


def counted(amount: int, singular: str, plural: str = "") -> str:
    """``1 unit``, ``2 units``."""
    return f"{amount} {singular if amount == 1 else plural or singular + 's'}"
