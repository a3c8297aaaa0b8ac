# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the reading of a log went, in the words of a finding."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import Place

#: What is left where nobody can say how much that is.
REST = "the rest is left for the next run, for the budget of this one (max_bytes) was spent"


def packed_words(packed: Sequence[Place]) -> str:
    """What is known of the packed pieces that are left: their size on the disk, and how much text of them was read."""
    words = []
    for place in packed:
        read = f", of whose text {quantity(place.offset, 'B')} were read" if place.offset > 0 else ""
        words.append(f"{place.name} with {quantity(place.size, 'B')}{read}")
    return f"packed among that: {'; '.join(words)}" if words else ""


def loss_words(lost: Loss) -> tuple[Status, str]:
    """How bad a loss is, and a sentence; one of no bytes at all only says that reading went on at another place."""
    if lost.bytes == 0:
        return "info", f"no line was lost: {lost.reason}"
    size = f", about {quantity(lost.bytes, 'B')}" if lost.bytes else ""
    return "warning", f"lines were lost{size}: {lost.reason}"
