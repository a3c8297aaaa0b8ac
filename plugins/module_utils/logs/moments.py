# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a file was last changed, also where its file system has a time that no calendar has."""

from __future__ import annotations

from datetime import datetime, timezone

#: Stands for every time that cannot be said: far ahead, so that nothing is ever old by it.
UNSAID = datetime.max.replace(tzinfo=timezone.utc)


def last_change(nanoseconds: int) -> datetime:
    """``st_mtime_ns`` as a moment; UNSAID beyond the years 1 to 9999, which tmpfs and XFS can hold."""
    try:
        return datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return UNSAID
