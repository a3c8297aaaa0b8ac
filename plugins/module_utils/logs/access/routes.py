# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets folded into routes: what differs from request to request becomes a word in braces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.letters import is_drawn

#: A segment of a path and what it is folded into; the first that matches counts.
_FOLDS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\d+"), "{n}"),
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "{uuid}"),
    (re.compile(r"\d{4}-\d{2}-\d{2}(?:T[0-9:.+Z-]*)?"), "{date}"),
    (re.compile(r"(?=[^g-z]*\d)(?:0x)?[0-9a-f]{12,}|(?=[^G-Z]*\d)[0-9A-F]{12,}"), "{hash}"),
    (re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"), "{email}"),
    (re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_~=-]{20,}"), "{token}"),
    # Digits amid letters, twice at least: words end with a number, or begin with one.
    (re.compile(r"(?=[A-Za-z0-9]{10,}$)(?:[A-Za-z]+\d+){2,}[A-Za-z]*"), "{token}"),
    (re.compile(r"(?=[A-Za-z0-9]{10,}$)(?:\d+[A-Za-z]+){2,}\d*"), "{token}"),
)
#: One number amid letters, before or behind them: a word (html5video) or a token (x7kqpwmzrt).
_ONE_NUMBER = re.compile(r"(?=[A-Za-z0-9]{10,}$)(?:[A-Za-z]+\d+[A-Za-z]*|\d+[A-Za-z]+)")
#: A capital behind a small letter.
_CLIMB = re.compile(r"(?<=[a-z])[A-Z]")
#: A hash or a number between the points or dashes of a file's name: app.3fa94c1e.js, photo-1024.webp.
_INNER = re.compile(r"(?<=[._-])(?:(?=[a-f]*\d)[0-9a-f]{6,}|\d+|[A-Za-z0-9_]{8}(?=\.(?:js|css|mjs|map)$))(?=[._-]|$)")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
#: Of one path at most so many segments are told apart.
MAX_SEGMENTS = 8
MAX_SEGMENT = 60


def fold(path: str) -> str:
    """``/api/users/4711/photo-12.png`` becomes ``/api/users/{n}/photo-{n}.png``."""
    segments = path.split("/")
    folded = [_segment(segment) for segment in segments[: MAX_SEGMENTS + 1]]
    return "/".join(folded) + ("/…" if len(segments) > MAX_SEGMENTS + 1 else "")


def _segment(segment: str) -> str:
    if not segment or (segment.isalpha() and len(segment) <= MAX_SEGMENT):
        return "{token}" if _is_scrambled(segment) else segment
    word = _word_for(segment)
    if word:
        return word
    extension = _EXTENSION.search(segment)
    if extension and extension.start():
        word = _word_for(segment[: extension.start()])
        if word:
            return word + extension[0]
    segment = _INNER.sub(_inner_word, segment)
    return segment if len(segment) <= MAX_SEGMENT else "{long}"


def _word_for(text: str) -> str:
    """What a segment or the stem of a file's name is folded into as a whole; empty where it stays."""
    for pattern, word in _FOLDS:
        if pattern.fullmatch(text):
            return word
    return "{token}" if _ONE_NUMBER.fullmatch(text) and is_drawn(text) else ""


def _is_scrambled(letters: str) -> bool:
    """``QWxhZGRpbjpvcGVu`` is, ``getElementsByTagName`` and ``XMLHttpRequest`` are not: a third is capitals."""
    if len(letters) < 12 or letters.islower():
        return False
    return sum(map(str.isupper, letters)) > 0.3 * len(letters) and len(_CLIMB.findall(letters)) > 1


def _inner_word(match: re.Match[str]) -> str:
    return "{n}" if match[0].isdigit() and len(match[0]) < 12 else "{hash}"
