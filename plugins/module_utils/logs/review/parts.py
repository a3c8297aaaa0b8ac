# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log in parts of whole lines, for several to work on at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import (
    Span,
    Stretch,
    size_of,
)

#: Bytes of a part that lies in a file, and of one that is held in memory. What passes of a part has to fit into a pipe
#: while the part before it is told, or its program waits.
IN_FILE, IN_MEMORY = 16 << 20, 2 << 20


@dataclass
class Part:
    """Stretches that stay good until they are closed, and ``behind``, the line that follows the last of theirs."""

    own: list[Stretch] = field(default_factory=list)
    behind: bytes = b""
    _descriptors: dict[int, int] = field(default_factory=dict)

    def add(self, stretch: Stretch) -> None:
        if isinstance(stretch, Span):
            known = self._descriptors.get(stretch.descriptor)
            if known is None:
                known = self._descriptors[stretch.descriptor] = os.dup(stretch.descriptor)
            stretch = stretch._replace(descriptor=known)
        self.own.append(stretch)

    @property
    def is_full(self) -> bool:
        held = sum(len(stretch) for stretch in self.own if not isinstance(stretch, Span))
        return held >= IN_MEMORY or sum(map(size_of, self.own)) >= IN_FILE

    def stretches(self) -> list[Stretch]:
        return [*self.own, self.behind] if self.behind else self.own

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


def parts_of(stretches: Iterable[Stretch]) -> Iterator[Part]:
    """Each part is the taker's to close."""
    part = Part()
    try:
        for stretch in stretches:
            if part.is_full:
                full, part = part, Part()
                full.behind = _first_line(stretch)
                part.add(stretch)
                yield full
            else:
                part.add(stretch)
        if part.own:
            last, part = part, Part()
            yield last
    finally:
        part.close()


def _first_line(stretch: Stretch) -> bytes:
    begin = stretch.begin(LINE_LIMIT + 1) if isinstance(stretch, Span) else stretch
    return begin[: begin.find(b"\n") + 1]
