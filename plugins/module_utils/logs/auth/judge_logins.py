# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure answers to the questions on logins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import clock_words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import (
    CAPACITY,
    Account,
    Review,
    Some,
    Source,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.tally import Few
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View

_SHOWN = 10


def judge_sources(view: View, *, check: str) -> Iterator[Answer]:
    """What the reading itself has to say: where the lines came from, and whether any are missing."""
    yield from (finding for finding in view.sources if finding.check == check)


def judge_failures(view: View) -> Iterator[Answer]:
    """Failed logins an hour, with the addresses and users behind most of them."""
    review = given(view.logins)
    failures = _failures(review)
    addresses = [pair for pair in review.sources.heaviest() if pair[1].failures]
    evidence = [f"by method: {_counts((+review.methods).most_common(5))}"] if review.methods else []
    evidence += [_source_words(address, source, view, review) for address, source in addresses[:_SHOWN]]
    evidence += _users(review)
    if review.sources.dropped:
        evidence.append(
            f"beyond {CAPACITY} addresses only the busiest are told apart; let go: {review.sources.dropped}"
        )
    if review.dropped:
        evidence.append(f"sshd itself turned away {counted(review.dropped, 'connection')}")
    by = _many(len(addresses), review.sources.dropped, "address", "addresses")
    note = f"{failures} {view.spanned('failures')} by {by}"
    if review.allowed:
        note += f"; {review.allowed} of allowed networks and users not judged"
    rate = view.rate("failures", failures)
    yield from view.measure("logs.auth_failures", "logins", rate, "Failed logins an hour", evidence=evidence, note=note)
    yield from _metrics(review, failures)


def _users(review: Review) -> Iterator[str]:
    """Who was tried most, and how many names are kept back."""
    shown: list[tuple[str, Account]] = []
    hidden, attempts = 0, 0
    for user, one in review.accounts.heaviest():
        if review.may_show(user):
            shown.append((user, one))
        else:
            hidden, attempts = hidden + 1, attempts + one.attempts
    if shown:
        users = (
            f"{user}{' (no such user)' if one.nobody else ''}: {one.attempts}" for user, one in shown[: _SHOWN - 3]
        )
        yield f"users: {', '.join(users)}"
    if hidden:
        yield f"{_kept_back(hidden)}, with {counted(attempts, 'attempt')}, for any may be a password"


def judge_brute_force(view: View) -> Iterator[Answer]:
    """The most failures of one address within the span."""
    review = given(view.logins)
    ranked = _ranked(review, lambda source: source.worst.most)
    most = ranked[0][1].worst.most if ranked else 0
    evidence = [
        f"{address}: {source.worst.most} until {clock_words(source.worst.ended)}, {source.failures} in all"
        for address, source in ranked[:_SHOWN]
    ]
    phrase = f"Most failures of one address within {duration(view.settings.span)}"
    yield from view.measure("logs.auth_brute_force", "addresses", most, phrase, evidence=evidence)


def judge_spray(view: View) -> Iterator[Answer]:
    """The most users that one address tried."""
    review = given(view.logins)
    ranked = _ranked(review, lambda source: len(source.users))
    most = ranked[0][1].users if ranked else Few(1)
    evidence = [
        f"{address}: {source.users.counted('user', 'users')} such as {_names(source.users, review)}"
        for address, source in ranked[:_SHOWN]
        if len(source.users) > 1
    ]
    yield from view.measure(
        "logs.auth_spray",
        "addresses",
        len(most),
        "Most users tried by one address",
        evidence=evidence,
        note=_full(most),
    )


def judge_distributed(view: View) -> Iterator[Answer]:
    """The most addresses that tried one user."""
    review = given(view.logins)
    ranked: list[tuple[str, Account]] = sorted(
        review.accounts.heaviest(), key=lambda pair: len(pair[1].addresses), reverse=True
    )
    most = ranked[0][1].addresses if ranked else Few(1)
    evidence = [
        f"{user}{' (no such user)' if one.nobody else ''}: {one.addresses.counted('address', 'addresses')}, "
        f"{counted(one.attempts, 'attempt')}"
        for user, one in ranked[:_SHOWN]
        if len(one.addresses) > 1
    ]
    yield from view.measure(
        "logs.auth_distributed", "users", len(most), "Most addresses that tried one user", evidence=evidence,
        note=_full(most),
    )  # fmt: skip


def judge_success(view: View) -> Iterator[Answer]:
    """A finding for each user and address that was let in after failures, with what followed."""
    review = given(view.logins)
    for suspect in sorted(review.suspects.values(), key=attrgetter("failures"), reverse=True):
        phrase = f"{suspect.user} was let in from {suspect.address} by {suspect.method} after failures"
        at = clock_words(suspect.when)
        evidence = [f"{at} let in, {counted(suspect.logins, 'login')} in all", *suspect.followed]
        item = f"{suspect.user} from {suspect.address}"
        yield from view.measure("logs.auth_success_after_failures", item, suspect.failures, phrase, evidence=evidence)
    if not review.suspects:
        logins = sum(review.logins.values())
        said = f"None of {counted(logins, 'login')} came after failures of its address" if logins else "No logins"
        yield view.state("logs.auth_success_after_failures", "logins", "ok", said)


def judge_new_networks(view: View) -> Iterator[Answer]:
    """Logins from networks that the user had not come from before."""
    review = given(view.logins)
    known = sum(map(len, review.memory.networks.values()))
    if not review.memory.learned:
        said = f"{counted(known, 'network')} of {counted(len(review.memory.networks), 'user')} remembered"
        yield view.state("logs.auth_new_network", "users", "ok", f"First run: {said}, to be compared with from now on")
        return
    note = f"{counted(known, 'network')} known of {counted(len(review.memory.networks), 'user')}"
    yield from _told(view, "logs.auth_new_network", "users", "Logins from new networks", review.new_networks, note=note)


def judge_root(view: View) -> Iterator[Answer]:
    review = given(view.logins)
    yield from _told(view, "logs.auth_root_login", "root", "Password logins of root", review.root_logins)


def judge_sudo(view: View) -> Iterator[Answer]:
    review = given(view.logins)
    note = f"{counted(review.commands, 'command')} granted"
    yield from _told(view, "logs.auth_sudo_failures", "sudo, su", "Refused sudo and su", review.refused, note=note)


def judge_accounts(view: View) -> Iterator[Answer]:
    review = given(view.logins)
    yield from _told(view, "logs.auth_accounts", "accounts", "Changes of users, groups and passwords", review.changes)


def judge_privileges(view: View) -> Iterator[Answer]:
    review = given(view.logins)
    yield from _told(view, "logs.auth_privileges", "accounts", "Accounts given the might of root", review.privileges)


def judge_forged(view: View) -> Iterator[Answer]:
    review = given(view.logins)
    yield from _told(view, "logs.auth_forged", "lines", "Lines that were made to deceive", review.forged)


def judge_unparsed(view: View) -> Iterator[Answer]:
    """The share of lines that were not understood."""
    review = given(view.logins)
    # Whose a line is that has no sender, nobody knows; it may well be sshd's.
    odd, lines = review.unparsed.number + review.formless, review.lines + review.formless
    share = round(100 * odd / lines, 2) if lines else 0.0
    evidence = _examples(review.unparsed)
    if review.formless:
        evidence = [f"in no form that is known: {counted(review.formless, 'line')}", *evidence]
    note = f"{odd} of {counted(lines, 'line')}"
    yield from view.measure("logs.auth_unparsed", "lines", share, "Lines not understood", evidence=evidence, note=note)


def _told(view: View, check: str, item: str, phrase: str, some: Some, *, note: str = "") -> Iterator[Answer]:
    yield from view.measure(check, item, some.number, phrase, evidence=_examples(some), note=note)


def _examples(some: Some) -> list[str]:
    """The last few, newest first."""
    return [f"{clock_words(when)} {words}".strip() for when, words in reversed(list(some))]


def _failures(review: Review) -> int:
    """All failures; of an address that PAM alone tells of, PAM's."""
    return review.failures + sum(source.failures - source.attempts for _address, source in review.sources.heaviest())


def _ranked(review: Review, size: Callable[[Source], int]) -> list[tuple[str, Source]]:
    return sorted((pair for pair in review.sources.heaviest() if size(pair[1])), key=lambda pair: -size(pair[1]))


def _source_words(address: str, source: Source, view: View, review: Review) -> str:
    rate = source.failures / view.over("failures").hours
    tried = f", users: {_names(source.users, review)}" if len(source.users) else ""
    return f"{address}: {counted(source.failures, 'failure')}, {rate:.3g} an hour{tried}"


def _names(few: Few, review: Review) -> str:
    """The commonest names; each is the client's to choose, and quoted so that nobody takes it for words of ours."""
    names = [name for name, _amount in few.commonest(len(few))]
    shown = [name for name in names if review.may_show(name)]
    hidden = [_kept_back(len(names) - len(shown))] if len(names) > len(shown) else []
    return ", ".join([*(f"'{name[:32]}'" for name in shown[:5]), *hidden])


def _kept_back(number: int) -> str:
    return f"{counted(number, 'name')} of no account not shown"


def _full(few: Few) -> str:
    return f"{few.worded()}: more are not told apart" if few.full and len(few) > 1 else ""


def _many(number: int, dropped: int, singular: str, plural: str) -> str:
    return f"{number} or more {plural}" if dropped else counted(number, singular, plural)


def _counts(pairs: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in pairs)


def _metrics(review: Review, failures: int) -> Iterator[Answer]:
    from_table = {
        "logs.auth_failed": failures,
        "logs.auth_logins": sum(review.logins.values()),
        "logs.auth_addresses": len(review.sources) + review.sources.dropped,
        "logs.auth_commands": review.commands,
        "logs.auth_turned_away": review.dropped,
    }
    yield from (Metric(name, "logins", value) for name, value in from_table.items())
