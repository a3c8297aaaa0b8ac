# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading logs must not slow down what writes them."""

from __future__ import annotations

import contextlib
import os

NICENESS = 10


def be_polite() -> None:
    """Lower this process's priority, for the processor and with it for the disk (ioprio_set(2): it follows nice)."""
    with contextlib.suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        if own < NICENESS:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
