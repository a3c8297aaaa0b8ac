# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices to owners: what changed, or a digest; grouped by cause, tried again, never a reason for a run to fail.

Addresses are secrets: they go to the sender alone, and no text that comes back from it is passed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import require
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, shorten
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, Listed, WorstFirst
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Entry, HostView
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.words import headline, title

#: The owner whose contacts get what has no owner, or whose owner has no contact.
EVERYONE = "*"
#: Seconds before the second and the third try.
BACKOFF = (2.0, 10.0)
#: A reminder may come early by this part of its hours: runs do not begin to the second, and an hour is lost in spring.
_EARLY = 1 / 16
_LINES = 25
_LINE = 300
_SENDERS = 8
#: Changes that are told, with the word that heads them. What is unchanged is told as a reminder.
_TOLD: tuple[tuple[str, str], ...] = (
    ("new", "New"),
    ("worse", "Worse"),
    ("unchanged", "Still there"),
    ("unseen", "No longer looked at"),
    ("resolved", "Resolved"),
    ("gone", "No longer there"),
)
_HIDING = "maintenance.reachable"

#: Sends one message to one address and tells whether it arrived.
Send = Callable[[str, str, str], bool]


@dataclass
class Mailbag:
    """What there is to tell one owner."""

    changes: dict[str, WorstFirst] = field(default_factory=lambda: {kind: WorstFirst(_LINES) for kind, _word in _TOLD})
    present: WorstFirst = field(default_factory=lambda: WorstFirst(_LINES))

    @property
    def changed(self) -> int:
        return sum(listed.total for listed in self.changes.values())


@dataclass(frozen=True)
class Notice:
    """A message that is ready to go out."""

    owner: str
    subject: str
    body: str


class Notices:
    """Sorts a run into mailbags, host by host. An alarm is a warning or worse.

    ``remind_hours``: after how many hours an alarm that stays is told again; 0 is never. ``now``: Unix time of the run.
    """

    def __init__(self, contacts: Mapping[str, Sequence[str]], *, remind_hours: int, now: int) -> None:
        self._contacts = contacts
        self._remind_hours = remind_hours
        self._now = now
        self.bags: dict[str, Mailbag] = {owner: Mailbag() for owner in contacts}

    def add(self, view: HostView, *, looks: Sequence[int] = ()) -> None:
        """Take in one host; one that did not answer has one cause, which hides all that follows from it.

        ``looks``: Unix times of its earlier runs, oldest first, as far back as its alarms go; without them it has no
        reminders.
        """
        entries = [*view.entries, *view.gone]
        if view.unreachable:
            entries = [entry for entry in entries if entry.check == _HIDING]
        for entry in entries:
            self._sort(view.host, entry, looks)

    def _sort(self, host: str, entry: Entry, looks: Sequence[int]) -> None:
        if entry.suppressed is not None:
            return
        listed = Listed(host, entry)
        alarming = _alarming(entry)
        change = entry.change
        told = change is not None and (
            (change.kind in ("new", "worse") and alarming)
            or (change.kind == "unchanged" and alarming and self._due_again(change.since, looks))
            or (change.kind in ("resolved", "gone", "unseen") and RANK.get(change.before, 0) >= RANK["warning"])
        )
        if not told and not alarming:
            return
        for owner in self._owners(entry):
            bag = self.bags[owner]
            if told and change is not None:
                bag.changes[change.kind].add(listed)
            if alarming and (change is None or change.kind != "gone"):
                bag.present.add(listed)

    def _due_again(self, since: int, looks: Sequence[int]) -> bool:
        if not self._remind_hours or not looks:
            return False
        return due_again(looks, since=since, now=self._now, hours=self._remind_hours)

    def _owners(self, entry: Entry) -> Iterable[str]:
        known = [owner for owner in entry.owners if owner in self._contacts]
        if known:
            return known
        return [EVERYONE] if EVERYONE in self._contacts else []

    def compose(self, fleet: Fleet, *, digest: bool, report: str) -> list[Notice]:
        """The messages: for every owner with changes, or for every owner with a contact when it is a digest."""
        notices = []
        for owner, bag in self.bags.items():
            first = fleet.first_hosts == len(fleet.rows)
            if not (digest or bag.changed or (first and bag.present.total)):
                continue
            lines = [headline(fleet), ""]
            for kind, word in _TOLD:
                lines += _section(word, bag.changes[kind])
            if digest or (first and not bag.changed):
                lines += _section("Needs attention", bag.present)
            if not bag.changed and not bag.present.total:
                lines += ["Nothing that you own needs attention.", ""]
            lines.append(f"Report: {report}")
            notices.append(Notice(owner, _subject(fleet, bag), "\n".join(lines)))
        return notices


def standing_since(view: HostView) -> int | None:
    """From when on the oldest alarm of a host stands that the run before has seen too, in Unix seconds."""
    times = [
        entry.change.since
        for entry in view.entries
        if entry.change and entry.change.kind == "unchanged" and entry.suppressed is None and _alarming(entry)
    ]
    return min(times, default=None)


def due_again(looks: Sequence[int], *, since: int, now: int, hours: int) -> bool:
    """Whether a run reminds of an alarm: told when it began, and by each run that found it so long after the last time.

    So the times of the runs alone say it, and a report that is drawn again says the same. Unix seconds, oldest first.
    """
    told, span = since, hours * 3600 * (1 - _EARLY)
    for at in (*looks, now):
        if at - told >= span:
            told = at
    return told == now


def _alarming(entry: Entry) -> bool:
    return RANK[entry.status] >= RANK["warning"]


def _subject(fleet: Fleet, bag: Mailbag) -> str:
    told = [f"{bag.changes[kind].total} {word.lower()}" for kind, word in _TOLD if bag.changes[kind].total]
    if not told:
        told = [f"{counted(bag.present.total, 'finding')} to look at" if bag.present.total else "nothing to look at"]
    return f"{title(fleet.run)}: {', '.join(told)}"


def _section(word: str, listed: WorstFirst) -> list[str]:
    if not listed.total:
        return []
    lines = [f"{word} ({listed.total})"]
    for each in listed:
        entry = each.entry
        lines.append(
            shorten(f"- {entry.status}: {each.host}, {entry.check} {entry.item}: {entry.summary}", limit=_LINE)
        )
    if listed.left_out:
        lines.append(f"- and {listed.left_out} more")
    return [*lines, ""]


def apprise_send(address: str, subject: str, body: str) -> bool:
    """Send through Apprise. Raises MaintenanceError without a word of the address."""
    apprise = require("apprise", package="apprise, by pip")
    # What Apprise logs names hosts and sometimes tokens.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    sender = apprise.Apprise()
    if not sender.add(address):
        raise MaintenanceError("Apprise does not understand the URL.")
    return bool(sender.notify(title=subject, body=body, body_format="text"))


def post(
    notices: Sequence[Notice],
    contacts: Mapping[str, Sequence[str]],
    *,
    send: Send = apprise_send,
    clock: Clock,
) -> list[dict[str, Any]]:
    """Send every notice to every contact of its owner; tells what became of each, and never raises.

    ``[{owner, contact (its number from 1), service (the URL's scheme), sent, attempts, error}]``
    """
    jobs = [
        (notice, number, address)
        for notice in notices
        for number, address in enumerate(contacts.get(notice.owner, ()), start=1)
    ]
    if not jobs:
        return []
    with ThreadPoolExecutor(max_workers=min(_SENDERS, len(jobs)), thread_name_prefix="notice") as pool:
        return list(pool.map(lambda job: _deliver(*job, send=send, clock=clock), jobs))


def _deliver(notice: Notice, number: int, address: str, *, send: Send, clock: Clock) -> dict[str, Any]:
    outcome: dict[str, Any] = {
        "owner": notice.owner,
        "contact": number,
        "service": address.partition("://")[0],
        "sent": False,
        "attempts": 0,
    }
    for pause in (0.0, *BACKOFF):
        clock.sleep(pause)
        outcome["attempts"] += 1
        try:
            if send(address, notice.subject, notice.body):
                outcome.pop("error", None)
                return {**outcome, "sent": True}
            outcome["error"] = "the service did not take the message"
        except MaintenanceError as error:
            return {**outcome, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - a sender of any make must not fail the run
            outcome["error"] = f"the sender failed ({type(error).__name__})"
    return outcome
