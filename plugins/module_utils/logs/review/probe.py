# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is logged arrives: a marker is written, and looked for where the review reads."""

from __future__ import annotations

import secrets

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.journald import follow_journal
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import Alive

_PAUSE = 0.2
_CHECK = "logs.alive"


def probe(asked: Alive, *, clock: Clock, check_mode: bool) -> Finding:
    """Write the marker and wait for it. In check mode nothing is written, and nothing is known."""
    if check_mode:
        return CATALOGUE.skipped(_CHECK, asked.log, "in check mode no marker is written")
    marker = f"fleetcare-marker-{secrets.token_hex(8)}"
    begun = clock.monotonic()
    try:
        # The place to look from is taken before the marker is written.
        mark = _mark(asked.log)
        done = run([word.replace("{marker}", marker) for word in asked.command], timeout=asked.seconds)
        if done.rc != 0:
            return CATALOGUE.stated(
                _CHECK, asked.log, "critical", f"the marker could not be written: {done.first_error()}"
            )
        while True:
            if _holds(asked.log, mark, marker.encode()):
                took = quantity(clock.monotonic() - begun, "s")
                return CATALOGUE.stated(_CHECK, asked.log, "ok", f"the marker came out after {took}")
            if clock.monotonic() - begun >= asked.seconds:
                break
            clock.sleep(_PAUSE)
    except MaintenanceError as error:
        return CATALOGUE.stated(_CHECK, asked.log, "unknown", str(error), remedy=error.remedy)
    words = f"the marker did not come out within {quantity(asked.seconds, 's')}"
    return CATALOGUE.stated(_CHECK, asked.log, "critical", words)


def _mark(log: str) -> dict[str, object]:
    if log == "journal":
        return follow_journal(None).mark()
    trail = follow(log, None, first="end")
    trail.close()
    if trail.unreadable:
        raise MaintenanceError(f"{log} {trail.unreadable}")
    return trail.mark()


def _holds(log: str, mark: dict[str, object], marker: bytes) -> bool:
    trail = follow_journal(mark) if log == "journal" else follow(log, mark)
    return any(marker in block for block in trail.blocks())
