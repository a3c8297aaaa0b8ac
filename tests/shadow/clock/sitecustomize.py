# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On PYTHONPATH, sets the wall clock of every Python process to CLOCK_STARTS_AT; the monotonic clock stays true."""

from __future__ import annotations

import datetime
import os

_real = datetime.datetime
_offset = _real.fromisoformat(os.environ["CLOCK_STARTS_AT"]) - _real.fromtimestamp(
    float(os.environ["CLOCK_STARTED"]), datetime.UTC
)


class _Shifted(_real):
    """The class that everything imports after this."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        shifted = _real.now(datetime.UTC) + _offset
        return shifted.astimezone(tz) if tz else shifted.replace(tzinfo=None)


datetime.datetime = _Shifted  # type: ignore[misc]
