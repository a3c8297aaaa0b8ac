# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that takes connections and does not answer: its time limits end nothing, for it is the one to keep them.

So it is with a machine that has died, a process that is stopped, and a disk that gives nothing back. The driver waits
without end; here somebody looks at the clock and hangs up.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock

#: Seconds after its time limit in which a server has to say that a statement has reached it.
GRACE = 30.0
#: Seconds between two looks at the clock.
_PAUSE = 0.5


@dataclass
class Call:
    """A wait for an answer that ends ``until``, by the monotonic clock; ``hung_up`` once it has been ended.

    ``errors`` is what the driver raises.
    """

    connection: Any
    until: float
    errors: type[Exception]
    hung_up: bool = False

    def hang_up(self) -> None:
        """Cut the line below the driver, which notices; to close a connection from another thread is not allowed."""
        self.hung_up = True
        with suppress(OSError, self.errors), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


class _Operator:
    """Looks every so often, in a thread of its own, whether one of the calls has lasted too long."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.begin_anew()

    def begin_anew(self) -> None:
        """Without a thread, which a process that was forked has not taken over, and without a call."""
        self.calls: dict[int, Call] = {}
        self.guard = threading.Lock()
        self.at_work = False

    def take(self, call: Call) -> None:
        with self.guard:
            self.calls[id(call)] = call
            if not self.at_work:
                threading.Thread(target=self._watch, name="silence", daemon=True).start()
                self.at_work = True

    def drop(self, call: Call) -> None:
        with self.guard:
            # A process that was forked meanwhile never had it.
            self.calls.pop(id(call), None)

    def _watch(self) -> None:
        while True:
            self.clock.sleep(_PAUSE)
            now = self.clock.monotonic()
            with self.guard:
                for call in self.calls.values():
                    if call.until < now and not call.hung_up:
                        call.hang_up()


_OPERATOR = _Operator(Clock())
os.register_at_fork(after_in_child=_OPERATOR.begin_anew)


@contextmanager
def limited(connection: Any, seconds: float, *, errors: type[Exception]) -> Iterator[Call]:
    """Within it an answer has so many seconds and ``GRACE`` to come; then the line is cut, which the driver tells."""
    call = Call(connection, _OPERATOR.clock.monotonic() + seconds + GRACE, errors)
    _OPERATOR.take(call)
    try:
        yield call
    finally:
        _OPERATOR.drop(call)


def patiently(work: Callable[[], object]) -> None:
    """Do what may never end, and go on after ``GRACE`` seconds all the same."""
    working = threading.Thread(target=work, daemon=True)
    working.start()
    working.join(GRACE)
