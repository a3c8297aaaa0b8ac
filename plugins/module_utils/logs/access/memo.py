# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that remember what a text stands for, so that each distinct one is taken apart once."""

from __future__ import annotations

import re
from collections.abc import Callable

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import sketch

#: How many heads, and how many bytes of them, are remembered.
_MAX_HEADS = 250_000
_MAX_HEAD_BYTES = 24 * 1024 * 1024
#: A head longer than this is looked at each time it comes.
LONG_HEAD = 600


class Heads(dict):  # type: ignore[type-arg]
    """Head to the list that takes the numbers of its rows; an unknown head is looked at and remembered."""

    def __init__(self, look: Callable[[bytes], list[int]]) -> None:
        super().__init__()
        self.look = look
        self.held = 0

    def __missing__(self, head: bytes) -> list[int]:
        place = self.look(head)
        if len(head) <= LONG_HEAD:
            self.held += len(head)
            self[head] = place
        return place

    def trim(self) -> bool:
        """Forget everything once it is too much; True where that happened."""
        if len(self) <= _MAX_HEADS and self.held <= _MAX_HEAD_BYTES:
            return False
        self.clear()
        self.held = 0
        return True


#: The bucket of what is no time; it is taken out before anything is asked of a sketch.
NO_TIME = 10**6


class Seconds(dict):  # type: ignore[type-arg]
    """The text of a time to its bucket; ``NO_TIME`` for ``-`` and what is no number.

    nginx joins the times of several upstream servers with commas and colons; together they are what it waited.
    """

    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def __missing__(self, text: bytes) -> int:
        try:
            value = sum(map(float, re.split(rb", | : ", text))) if b" " in text else float(text)
        except ValueError:
            value = -1.0
        bucket = sketch.key(value / self.divisor) if 0 <= value < 1e15 else NO_TIME
        if len(self) > 50_000:
            self.clear()
        self[text] = bucket
        return bucket
