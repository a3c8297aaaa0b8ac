# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time comes in from outside: everything pure takes ``now``, everything that waits takes a ``Clock``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError


class Clock:
    """The machine's clock. Tests hand in a subclass."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that no one can set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; negative is nothing."""
        if seconds > 0:
            time.sleep(seconds)


def parse_time(raw: str, *, option: str) -> datetime:
    """An ISO 8601 moment with a zone, such as ``2026-03-29T01:30:00+00:00`` or one that ends in ``Z``."""
    text = raw[:-1] + "+00:00" if raw.endswith(("Z", "z")) else raw
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OptionError(option, raw, "an ISO 8601 time such as 2026-01-31T04:00:00+00:00") from None
    if moment.tzinfo is None:
        raise OptionError(option, raw, "a time with its zone, such as 2026-01-31T04:00:00+00:00")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise OptionError(option, raw, "a time from the year 1 to the year 9999 in UTC") from None


def iso(moment: datetime) -> str:
    """A moment as records carry it: UTC, whole milliseconds, ``Z`` at the end."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(seconds: float | None) -> datetime | None:
    """A time that is known in seconds since 1970, in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)


@dataclass(frozen=True)
class Deadline:
    """When a repair must have stopped, on the host's own clock; None never ends."""

    clock: Clock
    at: datetime | None = None

    def left(self) -> float:
        """Seconds that are left, never negative; infinite without a deadline."""
        if self.at is None:
            return float("inf")
        return max(0.0, (self.at - self.clock.now()).total_seconds())

    def passed(self) -> bool:
        return self.left() <= 0
