# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes line after line and keeps what the questions need, in a size that neither log nor attackers decide."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import senders
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.attempts import Connections, by_key
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    Event,
    Kind,
    Line,
    clock_words,
    source_of,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.guessed import GUESSED
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.memory import Memory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import unrepeated
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.tally import Burst, Few, Tally

#: Addresses and users that are told apart, and different ones that are counted of each.
CAPACITY = 2000
DISTINCT = 100
#: Failures before a success from which on the success is kept to be judged.
NOTED = 3
SUSPECTS = 50
FOLLOWED = 10
#: Failures of an earlier run count as long, in seconds.
FAILURES_LAST = 172_800
_EXAMPLES = 19
_NAME = 64
#: How a login failed whose client left before it tried anything, as far as is known until it does.
_UNTRIED = "no password"
NO_NAME = "(none)"


@dataclass
class Source:
    """One address, or one /64 of IPv6. ``passwords`` and ``keys`` are attempts since the last success; and so is
    ``pam_since`` of what PAM alone tells."""

    burst: Burst
    pam_burst: Burst
    attempts: int = 0
    passwords: int = 0
    keys: int = 0
    pam: int = 0
    pam_since: int = 0
    probes: int = 0
    last: float = 0.0
    users: Few = field(default_factory=lambda: Few(DISTINCT))

    @property
    def failures(self) -> int:
        """A server that keeps quiet about failures leaves them to PAM."""
        return max(self.attempts, self.pam)

    @property
    def worst(self) -> Burst:
        return self.burst if self.attempts else self.pam_burst


@dataclass
class Account:
    """One user name that failed to log in."""

    attempts: int = 0
    #: Said not to be there, and said to be there: sshd calls whom it does not let in at all invalid as well.
    invalid: bool = False
    known: bool = False
    last: float = 0.0
    addresses: Few = field(default_factory=lambda: Few(DISTINCT))

    @property
    def nobody(self) -> bool:
        """Whether there is no account of this name."""
        return self.invalid and not self.known


@dataclass
class Suspect:
    """A success after failures: who, from where, and what came after it."""

    user: str
    address: str
    method: str
    failures: int
    when: float
    logins: int = 1
    followed: list[str] = field(default_factory=list)


class Some:
    """How many there were, and the last few in words."""

    def __init__(self) -> None:
        self.number = 0
        self._examples: deque[tuple[float, str]] = deque(maxlen=_EXAMPLES)

    def add(self, when: float, words: str, amount: int = 1) -> None:
        self.number += amount
        self._examples.append((when, clean(words, limit=240)))

    def __iter__(self) -> Iterator[tuple[float, str]]:
        return iter(self._examples)


class Review:
    """All that was read of logins. ``memory`` is what earlier runs knew, and is told what is new."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self.settings = settings
        self.memory = memory
        self.sources: Tally[str, Source] = Tally(self._source, weight=_source_weight, capacity=CAPACITY)
        self.accounts: Tally[str, Account] = Tally(
            Account, weight=lambda one: (one.attempts, one.last), capacity=CAPACITY
        )
        self.suspects: dict[tuple[str, str], Suspect] = {}
        self.methods: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()
        self.lines = 0
        #: Lines of a source of logins that have no time and sender in any form that is known.
        self.formless = 0
        self.failures = 0
        self.allowed = 0
        self.dropped = 0
        self.first = 0.0
        self.last = 0.0
        self.unparsed, self.forged, self.root_logins = Some(), Some(), Some()
        self.refused, self.changes, self.privileges, self.new_networks = Some(), Some(), Some(), Some()
        self.commands = 0
        self._connections = Connections()

    def take(self, line: Line) -> None:
        """One line of a program that has to do with logins; all others are passed over."""
        who = senders.sender(line)
        message, times = unrepeated(line.message)
        event = senders.read(line, message)
        if senders.forged(who, line, event):
            self.disbelieve(line, message, times)
            return
        if event is None or senders.ours(line.program):
            self.lines += times
            self._span(line.when)
        if event is None:
            self.unparsed.add(line.when, f"{line.program}: {senders.shown(line, message)}", times)
        elif event.kind is not Kind.NOISE:
            self.happen(event, line, times)

    def disbelieve(self, line: Line, message: str, times: int = 1) -> None:
        """A line in the name of a program by somebody else: it is told, and counts for nobody."""
        self.forged.add(line.when, f"uid {line.uid} as {line.program}: {senders.shown(line, message)}", times)

    def happen(self, event: Event, line: Line, times: int = 1) -> None:
        """An event, ``times`` over."""
        self._span(line.when)
        if event.kind is Kind.DECEPTIVE:
            self.forged.add(line.when, f"can be read in two ways: {senders.shown(line, event.detail)}", times)
        elif event.kind in _ATTEMPTS:
            connection = f"{line.program[:4]}{line.pid or event.address}"
            for _time in range(min(times, 1000)):
                self._fail(event, line.when, self._connections.attempts(event, connection))
                if self._connections.settled:
                    self.methods[_UNTRIED] -= 1
                    self.methods[event.method.partition("/")[0]] += 1
        elif event.kind is Kind.PAM:
            self._pam(event, line, event.count * times)
        elif event.kind is Kind.ACCEPTED:
            self._accept(event, line.when)
        else:
            self._note(event, line.when, times)

    def may_show(self, user: str) -> bool:
        """Whether a name may be shown. One that no account has is often a password, typed where the name belongs.

        Nobody's secret is what is guessed everywhere, and what was tried from several addresses.
        """
        if user.lower() in GUESSED or user == NO_NAME:
            return True
        account = self.accounts.known(user)
        # Of a name that was let go nobody knows any more whose it is.
        return account is not None and (not account.nobody or len(account.addresses) > 1)

    # --- logins ----------------------------------------------------------------------------------------------

    def _source(self) -> Source:
        return Source(Burst(self.settings.span), Burst(self.settings.span))

    def _fail(self, event: Event, when: float, amount: int) -> None:
        if not amount:
            return
        self.failures += amount
        self.methods[event.method.partition("/")[0] or _UNTRIED] += amount
        if self.settings.allows(event.address, event.user):
            self.allowed += amount
            return
        user = clean(event.user, limit=_NAME) or NO_NAME
        account = self.accounts.at(user)
        account.attempts += amount
        account.invalid = account.invalid or event.invalid
        account.known = account.known or not event.invalid
        account.last = max(account.last, when)
        if not event.address:
            return
        where = source_of(event.address)
        account.addresses.add(where, amount)
        source = self.sources.at(where)
        source.attempts += amount
        source.last = max(source.last, when)
        source.users.add(user, amount)
        if when:
            source.burst.add(when, amount)
        if by_key(event.method) or event.kind is Kind.UNFINISHED:
            source.keys += amount
        else:
            source.passwords += amount

    def _pam(self, event: Event, line: Line, amount: int) -> None:
        if not senders.ours(line.program) or (line.program == "login" and not event.address):
            # A service of which PAM alone tells, as it does of who stands before the host.
            method = event.method or line.program
            failed = replace(event, kind=Kind.FAILED, method=method, count=amount)
            self._fail(failed, line.when, amount)
        elif event.address and not self.settings.allows(event.address, event.user):
            source = self.sources.at(source_of(event.address))
            source.pam += amount
            source.pam_since += amount
            source.last = max(source.last, line.when)
            source.pam_burst.add(line.when, amount)

    def _accept(self, event: Event, when: float) -> None:
        user, address, method = clean(event.user, limit=_NAME), event.address, event.method.partition("/")[0]
        self.logins[method] += 1
        where = f"from {address}" if address else "on the console"
        if event.user == "root" and not by_key(method):
            self.root_logins.add(when, f"root by {method} {where}")
        if not address or self.settings.allows(address, event.user):
            return
        if self.memory.meet(user, address, when):
            self.new_networks.add(when, f"{user} from {address} by {method}" + (f", {event.key}" if event.key else ""))
        self._suspect(user, address, method, when)

    def _suspect(self, user: str, address: str, method: str, when: float) -> None:
        source = self.sources.known(source_of(address))
        passwords, keys = self.memory.failures(source_of(address), since=when - FAILURES_LAST)
        if source is not None:
            # Where sshd tells of no failure PAM does, and PAM knows passwords alone.
            passwords += max(source.passwords, source.pam_since if not source.attempts else 0)
            keys += source.keys
        failures = keys if by_key(method) else passwords
        known = self.suspects.get((user, address))
        if known is not None:
            known.logins += 1
            known.failures = max(known.failures, failures)
            self._follow(user, when, f"logged in again from {address}")
        elif failures >= NOTED and len(self.suspects) < SUSPECTS:
            self._follow(user, when, f"logged in from {address}")
            self.suspects[user, address] = Suspect(user, address, method, failures, when)
        if source is not None:
            source.passwords = source.keys = source.pam_since = 0
        self.memory.forgive(source_of(address))

    def _follow(self, user: str, when: float, words: str) -> None:
        for suspect in self.suspects.values():
            if suspect.user == user and len(suspect.followed) < FOLLOWED:
                suspect.followed.append(f"{clock_words(when)} {clean(words, limit=120)}")

    # --- the rest --------------------------------------------------------------------------------------------

    def _note(self, event: Event, when: float, times: int) -> None:
        user = clean(event.user, limit=_NAME)
        if event.kind is Kind.COMMAND:
            self.commands += times
            self._follow(user, when, f"{event.method} as {event.target}: {event.detail}")
        elif event.kind is Kind.COMMAND_REFUSED:
            self._follow(user, when, f"{event.method} refused: {event.detail}")
            if not self.settings.allows("", event.user):
                self.refused.add(when, f"{user}, {event.method} as {event.target or 'root'}: {event.detail}", times)
        elif event.kind is Kind.ACCOUNT:
            self.changes.add(when, event.detail, times)
            if event.privileged:
                self.privileges.add(when, event.detail, times)
            for suspect in self.suspects.values():
                if len(suspect.followed) < FOLLOWED:
                    suspect.followed.append(f"{clock_words(when)} {clean(event.detail, limit=120)}")
        elif event.kind is Kind.DROPPED:
            self.dropped += times
            self._probe(event, when)
        elif event.kind is Kind.PROBE:
            self._probe(event, when)

    def _probe(self, event: Event, when: float) -> None:
        if event.address and not self.settings.allows(event.address):
            source = self.sources.at(source_of(event.address))
            source.probes += 1
            source.last = max(source.last, when)

    def _span(self, when: float) -> None:
        if when and (not self.first or when < self.first):
            self.first = when
        if when > self.last:
            self.last = when


_ATTEMPTS = frozenset({Kind.FAILED, Kind.ANNOUNCED, Kind.UNFINISHED})


def _source_weight(source: Source) -> tuple[float, float]:
    return (source.failures * 1000 + source.probes, source.last)
