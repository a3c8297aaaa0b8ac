# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From lines to attempts: one refused login is told in up to four lines, and counts once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Event, Kind

#: Connections that are looked back upon.
_REMEMBERED = 20_000
KEY_METHODS = ("publickey", "hostbased", "gssapi")


@dataclass
class _Connection:
    """What a connection has logged so far."""

    attempts: int = 0
    #: An attempt that was counted when it was announced, so that its failure does not count again.
    invalid: bool = False
    answer: bool = False
    keys: bool = False


class Connections:
    """Remembers the newest connections by the process that serves each."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Connection] = OrderedDict()
        #: Whether the last event told how an attempt failed that had been counted when it was announced.
        self.settled = False

    def attempts(self, event: Event, connection: str) -> int:
        """How many attempts an event adds: FAILED, ANNOUNCED and UNFINISHED of one login are one.

        A client offers all the keys that it has; those of one connection are one attempt.
        """
        state = self._of(connection)
        announced = state.invalid
        added = _JUDGES[event.kind](state, event)
        self.settled = event.kind is Kind.FAILED and announced and not state.invalid
        state.attempts += added
        return added

    def _of(self, connection: str) -> _Connection:
        state = self._known.get(connection)
        if state is None:
            state = self._known[connection] = _Connection()
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return state


def by_key(method: str) -> bool:
    """Whether a method's proof cannot be guessed."""
    return method.startswith(KEY_METHODS)


def _announced(state: _Connection, event: Event) -> int:
    if not event.method:
        state.invalid, counted = True, not state.invalid
        return event.count if counted else 0
    # PAM's answer to the same attempt that "Invalid user" announced, or to one that nothing announced.
    counted = not state.invalid
    state.invalid, state.answer = False, True
    return event.count if counted else 0


def _failed(state: _Connection, event: Event) -> int:
    if by_key(event.method):
        if state.keys:
            return 0
        state.keys = True
        counted_before = int(state.invalid)
        state.invalid = False
        return 1 - counted_before
    if event.method.startswith("keyboard-interactive") and state.answer:
        state.answer = False
        return event.count - 1
    if state.invalid:
        state.invalid = False
        return event.count - 1
    return event.count


def _unfinished(state: _Connection, event: Event) -> int:
    return 1 if state.attempts == 0 else 0


_JUDGES = {Kind.ANNOUNCED: _announced, Kind.FAILED: _failed, Kind.UNFINISHED: _unfinished}
