# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the lines of a log to its digest: the format, the sieve that goes with it, and the scanner behind that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import Span, Stretch
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Digest, Scanner, Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import (
    FORMATS,
    Format,
    recognise,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.sieve import Numbered, sift


def digest_of(
    stretches: Iterator[Stretch],
    form: Format | None,
    wanted: Wanted,
    *,
    known: Format | None = None,
    workers: int = 1,
) -> Digest:
    """All of a stream in one digest; ``workers`` programs may sift it.

    Without a word on it the format is seen from the first lines; where these have none, it is the one of the last run.
    """
    first = next(stretches, None)
    if first is None:
        return Digest(form=(form or known or FORMATS["text"]).name)
    if form is None:
        form = recognise(first.begin(LINE_LIMIT) if isinstance(first, Span) else first)
        form = known if known and form.name == "text" else form
    pattern = form.sieve if wanted.least != "warning" else f"{form.sieve}|{form.warnings}"
    scanner = Scanner(form, wanted)
    extra = [_in_raw(one, form) for one in wanted.include]

    def passed() -> Iterator[list[Numbered]]:
        scanner.digest.lines = yield from sift(chain([first], stretches), pattern, extra=extra, workers=workers)

    for lines in passed():
        scanner.feed(lines)
    return scanner.finish()


def _in_raw(pattern: re.Pattern[bytes], form: Format) -> re.Pattern[bytes]:
    """What lets a line pass the sieve: the expression itself, or every line where the text is packed in a field."""
    return pattern if form.plain else re.compile(rb"^", re.MULTILINE)
