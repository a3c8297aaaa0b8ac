# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pass over a log adds up to; two of them, from two processes, become one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.bounded import BoundedCounter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.logins import Logins
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.sketch import Sketch

#: Different addresses and agents that are counted exactly.
MAX_ADDRESSES = 100_000
MAX_AGENTS = 20_000
#: Addresses whose attacks or logins are told apart, and users.
MAX_SUSPECTS = 5_000
MAX_NAMES = 50
#: Places whose attacks are told apart.
MAX_PLACES = 2_000
OTHER_PLACES = "(other)"
#: Kept attack answers that wait for the baseline of their route.
MAX_ANSWERED = 2_000


@dataclass
class Share:
    """The lines of one route and status: requests, bytes sent, times in seconds, and some sizes of answers."""

    requests: int = 0
    sent: int = 0
    times: Sketch = field(default_factory=Sketch)
    sizes: Sketch = field(default_factory=Sketch)
    #: How many sizes were kept.
    kept: int = 0

    def merge(self, other: Share) -> None:
        self.requests += other.requests
        self.sent += other.sent
        self.times.merge(other.times)
        self.sizes.merge(other.sizes)


@dataclass
class Suspect:
    """What an address did that asks for a closer look."""

    score: int = 0
    attacks: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    users: set[str] = field(default_factory=set)

    def merge(self, other: Suspect) -> None:
        self.score += other.score
        self.attacks += other.attacks
        self.kinds.update(other.kinds)
        self.failures += other.failures
        self.users = set(sorted(self.users | other.users)[:MAX_NAMES])


@dataclass
class Window:
    """The stretch of the log with the largest share of server errors."""

    share: float = 0.0
    errors: int = 0
    requests: int = 0
    began: str = ""
    ended: str = ""


@dataclass(frozen=True)
class Answered:
    """An attack that got a success status: whether its size is usual can be told at the end alone.

    ``route`` is that of ordinary requests, or ``(attacks)``; ``place`` is fit to be told.
    """

    route: str
    place: str
    kind: str
    address: str
    size: int


@dataclass
class Tally:
    """Everything counted, by route and status; ``lines`` are all lines, also those that are no request."""

    lines: int = 0
    shares: dict[tuple[str, str], Share] = field(default_factory=dict)
    addresses: BoundedCounter = field(default_factory=lambda: BoundedCounter(MAX_ADDRESSES))
    #: Addresses of requests that were answered with 400 or more.
    failing: BoundedCounter = field(default_factory=lambda: BoundedCounter(MAX_ADDRESSES // 2))
    agents: BoundedCounter = field(default_factory=lambda: BoundedCounter(MAX_AGENTS))
    #: Paths that are not there, as they were asked for.
    missing: BoundedCounter = field(default_factory=lambda: BoundedCounter(MAX_AGENTS))
    suspects: dict[str, Suspect] = field(default_factory=dict)
    #: Suspects for whom there was no more room.
    more_suspects: int = 0
    #: User names by failed logins, and from how many addresses.
    users: dict[str, tuple[int, set[str]]] = field(default_factory=dict)
    logins: Logins = field(default_factory=Logins)
    attacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    answered: list[Answered] = field(default_factory=list)
    more_answered: int = 0
    uploads: Counter[str] = field(default_factory=Counter)
    #: Paths of scripts that were sent into, and of those that were fetched from, a folder of uploads.
    written: Counter[str] = field(default_factory=Counter)
    fetched: Counter[str] = field(default_factory=Counter)
    worst: Window = field(default_factory=Window)
    began: str = ""
    ended: str = ""
    overflowed: bool = False
    #: Different targets, agents and referrers that were not scored, for scoring had taken too long, or not whole.
    unscored: int = 0
    shortened: int = 0

    def suspect(self, address: str) -> Suspect | None:
        """The suspect at an address; None where there is no more room for one."""
        known = self.suspects.get(address)
        if known is None:
            if len(self.suspects) >= MAX_SUSPECTS:
                self.more_suspects += 1
                return None
            known = self.suspects[address] = Suspect()
        return known

    def add_attack(self, kind: str, place: str, times: int = 1) -> None:
        key = (kind, place)
        self.attacks[key if key in self.attacks or len(self.attacks) < MAX_PLACES else (kind, OTHER_PLACES)] += times

    def add_user(self, user: str, address: str, times: int = 1) -> None:
        """A failed login under a name."""
        if user not in self.users and len(self.users) >= MAX_SUSPECTS:
            return
        seen, addresses = self.users.get(user, (0, set()))
        if len(addresses) < MAX_NAMES:
            addresses.add(address)
        self.users[user] = (seen + times, addresses)

    def merge(self, other: Tally) -> None:
        """Add what another process counted of the same log."""
        self.lines += other.lines
        for key, share in other.shares.items():
            self.shares.setdefault(key, Share()).merge(share)
        for name in ("addresses", "failing", "agents", "missing"):
            getattr(self, name).merge(getattr(other, name))
        for address, suspect in other.suspects.items():
            known = self.suspect(address)
            if known:
                known.merge(suspect)
        self.more_suspects += other.more_suspects
        for user, (seen, addresses) in other.users.items():
            for address in addresses:
                self.add_user(user, address, 0)
            if user in self.users:
                self.users[user] = (self.users[user][0] + seen, self.users[user][1])
        for (kind, place_of), many in other.attacks.items():
            self.add_attack(kind, place_of, many)
        for counter in ("uploads", "written", "fetched"):
            getattr(self, counter).update(getattr(other, counter))
        room = MAX_ANSWERED - len(self.answered)
        self.answered += other.answered[:room]
        self.more_answered += other.more_answered + len(other.answered[room:])
        if other.logins.stretch > self.logins.stretch and other.ended:
            self.ended = other.ended
        self.logins.merge(other.logins)
        if other.worst.share > self.worst.share:
            self.worst = other.worst
        self.overflowed |= other.overflowed
        self.unscored += other.unscored
        self.shortened += other.shortened

    @property
    def requests(self) -> int:
        return sum(share.requests for share in self.shares.values())

    @property
    def unparsed(self) -> int:
        """Lines that are no request."""
        return max(0, self.lines - self.requests)
