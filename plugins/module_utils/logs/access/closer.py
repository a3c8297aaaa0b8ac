# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few lines that ask for a closer look: attacks, logins, uploads, what is not there, and who sends such things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import Verdict
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import Columns
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import Head, script
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.memo import LONG_HEAD
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rows import NOTHING, Rows
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.scoring import Scorer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import (
    MAX_ANSWERED,
    MAX_NAMES,
    Answered,
    Tally,
)

ParseLine = Callable[[bytes, int], "dict[str, bytes] | None"]

#: User agents that count as attacks.
_MAX_FLAGGED = 200
#: Bytes that are rare in a log and begin what makes a referrer unusual, and how it goes on.
_SIGNS = (b"$", b"<", b"{")
_UNUSUAL = frozenset([b"${", b"{ ", b"{:", *(b"<%c" % letter for letter in b"sSiI/")])


class Missing(NamedTuple):
    """A head of what is not there: what takes the numbers of its rows, and its path."""

    take: Callable[[int], None]
    path: bytes


class CloserLook:
    """Notes in a tally what single rows are worth telling.

    ``numbers`` takes those of the rows of all heads that were added, in the order of their lines, until the next look.
    """

    def __init__(self, tally: Tally, judge: Scorer, parse_line: ParseLine, *, forwarded: bool) -> None:
        self.tally = tally
        self.judge = judge
        self.parse_line = parse_line
        self.forwarded = forwarded
        self.numbers: list[int] = []
        self._heads: dict[bytes, Head] = {}
        self._missing: dict[bytes, Missing] = {}
        #: Heads of what is not there, by the route they would be of: it may turn out to be the application's after all.
        self._provisional: dict[str, list[bytes]] = {}
        self._flagged: dict[bytes, Verdict] = {}
        self._flagged_seen: dict[bytes, int] = {}

    def add(self, head: bytes, known: Head) -> None:
        """From now on the rows of this head are looked at."""
        if known.part == "missing" and not known.verdict.attack:
            self._missing[head] = Missing(known.cell.rows.append, known.path.encode("utf-8", "replace"))
            if len(head) <= LONG_HEAD:
                self._provisional.setdefault(known.asked, []).append(head)
        else:
            self._heads[head] = known

    def forget(self, route: str) -> Sequence[bytes]:
        """The heads of what was not there although it is of this route; they are to be added anew."""
        # Rows that were gathered before are still of what was not there.
        return self._provisional.pop(route, [])

    def forget_all(self) -> None:
        for known in (self._heads, self._missing, self._provisional):
            known.clear()

    def look(self, columns: Columns, rows: Rows, begin: int) -> None:
        """Note what came with the last slice, whose rows begin at ``begin``; it is counted in the cells as well."""
        if not self.numbers:
            return
        heads, users = columns.heads, columns.users
        missing: list[bytes] = []
        for number in self.numbers:
            head = heads[number - begin]
            absent = self._missing.get(head)
            if absent is not None:
                absent.take(number)
                missing.append(absent.path)
                continue
            known = self._heads[head]
            known.cell.rows.append(number)
            self._note(known, rows, number, users[number - begin] if users else NOTHING)
        if missing:
            self.tally.missing.update(missing)
        for head in {heads[number - begin] for number in self.numbers}:
            if len(head) > LONG_HEAD:
                self._heads.pop(head, None)
                self._missing.pop(head, None)
        self.numbers.clear()

    def _note(self, known: Head, rows: Rows, number: int, user: bytes) -> None:
        """A row whose head is an attack, a login or an upload; it is counted in its cell as well."""
        address = rows.addresses[number]
        if known.verdict.attack:
            self._note_answer(known, rows.sizes[number], address)
        if known.part:
            self._note_part(known, address)
        if known.part == "failure":
            self._name_user(user, _text(address))

    def _note_answer(self, known: Head, size: int, address: bytes) -> None:
        self._note_attack(known.verdict, address, place=known.place)
        if known.cell.status[0] == "2":
            if len(self.tally.answered) < MAX_ANSWERED:
                self.tally.answered.append(
                    Answered(
                        route=known.cell.route,
                        place=known.place,
                        kind=known.verdict.kinds[0],
                        address=_text(address),
                        size=size,
                    )
                )
            else:
                self.tally.more_answered += 1

    def _note_part(self, known: Head, address: bytes) -> None:
        tally = self.tally
        if known.part == "upload":
            tally.uploads[known.cell.route] += 1
            if script(known.path):
                _count_bounded(tally.written, known.path)
        elif known.part == "fetch":
            _count_bounded(tally.fetched, known.path)
        elif known.part == "success":
            tally.logins.accept(_text(address))
        else:
            suspect = tally.suspect(_text(address))
            if suspect:
                suspect.failures += 1
                tally.logins.refuse(_text(address))

    def _name_user(self, user: bytes, address: str) -> None:
        """Who failed to log in, where the line names a user."""
        if user not in (NOTHING, b"", b'""'):
            name = _text(user)
            self.tally.add_user(name, address)
            suspect = self.tally.suspects.get(address)
            if suspect and len(suspect.users) < MAX_NAMES:
                suspect.users.add(name)

    def count_agents(self, agents: Sequence[bytes], addresses: Sequence[bytes]) -> None:
        counter = self.tally.agents
        for agent in counter.update(agents):
            verdict = self.judge.judge_agent(agent)
            if verdict.attack and len(self._flagged) < _MAX_FLAGGED:
                self._flagged[agent] = verdict
        if not self._flagged:
            return
        counts = counter.counts
        present = [agent for agent in self._flagged if counts[agent] != self._flagged_seen.get(agent, 0)]
        if present and addresses:
            for agent, address in zip(agents, addresses):
                if agent in self._flagged:
                    self._note_attack(self._flagged[agent], address, place="(user agent)")
        for agent in present:
            self._flagged_seen[agent] = counts[agent]

    def look_at_referrers(self, block: bytes) -> None:
        """Only lines that hold what no browser's referrer does are taken apart for theirs."""
        for sign in _SIGNS:
            if sign in block:
                self._look_at_referrers(block, sign)

    def _look_at_referrers(self, block: bytes, sign: bytes) -> None:
        at = block.find(sign)
        while at >= 0:
            end = block.find(b"\n", at)
            if block[at : at + 2] in _UNUSUAL:
                fields = self.parse_line(block, block.rfind(b"\n", 0, at) + 1) or {}
                referrer = fields.get("referer", b"")
                if sign in referrer:
                    verdict = self.judge.judge_agent(referrer)
                    if verdict.attack:
                        self._note_attack(verdict, self._address(fields), place="(referrer)")
                at = end - 1
            at = block.find(sign, at + 1)

    def _address(self, fields: dict[str, bytes]) -> bytes:
        address = fields.get("address", b"-")
        return address.rpartition(b",")[2].strip() if self.forwarded else address

    def _note_attack(self, verdict: Verdict, address: bytes, *, place: str) -> None:
        self.tally.add_attack(verdict.kinds[0], place)
        suspect = self.tally.suspect(_text(address))
        if suspect:
            suspect.attacks += 1
            suspect.score += verdict.score
            suspect.kinds[verdict.kinds[0]] += 1


def _count_bounded(counter: Counter[str], key: str, limit: int = 1000) -> None:
    if key in counter or len(counter) < limit:
        counter[key] += 1


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    return clean(raw[:400].decode("utf-8", "replace"), limit=60)
