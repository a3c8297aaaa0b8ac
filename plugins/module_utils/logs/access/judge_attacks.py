# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers on attacks, logins and uploads. Parameters are never told: the route and the class say what it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.scoring import SECONDS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import Answered, Suspect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.view import LogView, View

#: Failed logins under one name from so many addresses are a spray.
_SPRAY = 5
_NAMED = 8
#: So often in a row somebody is refused who has mistyped.
_MISTYPED = 2

CLASS_NAMES = {
    "sqli": "SQL injection",
    "xss": "cross-site scripting",
    "traversal": "path traversal",
    "file": "files that should not be served",
    "rfi": "remote file inclusion",
    "rce": "command or code execution",
    "log4shell": "Log4Shell",
    "scanner": "scanner",
    "upload": "upload of scripts",
}


def judge_attacks(view: View) -> Iterator[Answer]:
    """How many attempts, of which classes, against what, from whom."""
    for log in view.with_requests():
        attacks = log.tally.attacks
        kinds: Counter[str] = Counter()
        for (kind, _route), many in attacks.items():
            kinds[kind] += many
        total = sum(kinds.values())
        words = ", ".join(f"{CLASS_NAMES[kind]} {many}" for kind, many in kinds.most_common())
        if log.tally.shortened:
            longer = f"{log.tally.shortened} too long to be scored whole"
            words = f"{words}; {longer}" if words else longer
        yield from view.measure(
            "logs.http_attacks",
            log.path,
            total,
            "attack attempts",
            note=words,
            evidence=[*_attackers(view, log), *_attacked(log)],
        )
        for kind, many in sorted(kinds.items()):
            yield Metric(f"logs.http_attacks_{kind}", log.path, many)
        if log.tally.unscored:
            yield view.state(
                "logs.http_attacks",
                f"{log.path} (not scored)",
                "unknown",
                f"{counted(log.tally.unscored, 'different text')} of requests not scored: what was asked for took more "
                f"than the {quantity(SECONDS, 's')} that scoring may take, as somebody may have wanted it to",
            )


def _attackers(view: View, log: LogView) -> list[str]:
    return [
        f"{view.address(address)}: score {one.score}, {counted(one.attacks, 'attempt')} "
        f"({', '.join(CLASS_NAMES[kind] for kind, _many in one.kinds.most_common(3))})"
        for address, one in heaviest(log)[:_NAMED]
        if one.attacks
    ]


def heaviest(log: LogView) -> list[tuple[str, Suspect]]:
    """Suspects by score, then by failed logins."""
    return sorted(log.tally.suspects.items(), key=lambda pair: (-pair[1].score, -pair[1].failures, pair[0]))


def _attacked(log: LogView) -> list[str]:
    return [f"{many} x {CLASS_NAMES[kind]} at {place}" for (kind, place), many in log.tally.attacks.most_common(_NAMED)]


def judge_attack_success(view: View) -> Iterator[Answer]:
    """Attempt or possible success, by the size of the answer."""
    for log in view.with_requests():
        verdicts = log.verdicts
        judged = len(verdicts.possible) + verdicts.usual
        notes = [f"of {counted(judged + len(verdicts.unjudged), 'attack')} that got a success status"]
        if verdicts.usual:
            notes.append(f"{verdicts.usual} with the size that the route always has")
        if verdicts.unjudged:
            notes.append(f"{len(verdicts.unjudged)} on routes with too few ordinary answers to tell")
        if log.tally.more_answered:
            notes.append(f"{log.tally.more_answered} more were not looked at")
        for answer in view.measure(
            "logs.http_attack_success",
            log.path,
            len(verdicts.possible),
            "attacks that may have succeeded",
            note="; ".join(notes),
            evidence=_answered(view, verdicts.possible or verdicts.unjudged),
        ):
            if isinstance(answer, Finding) and answer.status == "ok" and verdicts.unjudged:
                # Nobody can tell, so somebody has to look; a scanner's every request would be too many to alarm of.
                remedy = view.catalogue["logs.http_attack_success"].remedy
                yield replace(answer, status="info", remedy=remedy)
            else:
                yield answer


def _answered(view: View, answered: Sequence[Answered]) -> list[str]:
    by_kind: dict[tuple[str, str, str], list[int]] = {}
    for one in answered:
        by_kind.setdefault((one.kind, one.place, view.address(one.address)), []).append(one.size)
    return [
        f"{CLASS_NAMES[kind]} from {address}, {counted(len(sizes), 'answer')} of {_span(sizes)}, at {place}"
        for (kind, place, address), sizes in sorted(by_kind.items(), key=lambda pair: -len(pair[1]))
    ]


def _span(sizes: Sequence[int]) -> str:
    least, most = quantity(min(sizes), "B"), quantity(max(sizes), "B")
    return least if least == most else f"{least} to {most}"


def judge_login_failures(view: View) -> Iterator[Answer]:
    """The address with the most refused logins, and names that many addresses tried."""
    for log in view.with_requests():
        failing = sorted(
            ((one.failures, address, one) for address, one in log.tally.suspects.items() if one.failures),
            key=lambda entry: (-entry[0], entry[1]),
        )
        total = sum(many for many, _address, _one in failing)
        sprayed = [(user, many, len(found)) for user, (many, found) in log.tally.users.items() if len(found) >= _SPRAY]
        notes = [f"{counted(total, 'refusal')} from {counted(len(failing), 'address', 'addresses')}"]
        if sprayed:
            notes.append(f"{counted(len(sprayed), 'user')} tried from {_SPRAY} addresses or more")
        if log.tally.more_suspects:
            notes.append(f"{log.tally.more_suspects} more deeds of other addresses were not kept apart")
        evidence = [
            f"{view.address(address)}: {counted(many, 'refusal')}{_users(one)}"
            for many, address, one in failing[:_NAMED]
        ]
        evidence += [
            f"user {user}: {counted(many, 'refusal')} from {counted(found, 'address', 'addresses')}"
            for user, many, found in sorted(sprayed, key=lambda entry: (-entry[2], entry[0]))[:_NAMED]
        ]
        yield from view.measure(
            "logs.http_login_failures",
            log.path,
            failing[0][0] if failing else 0,
            "most refused logins from one address",
            note="; ".join(notes),
            evidence=evidence,
        )


def _users(one: Suspect) -> str:
    if not one.users:
        return ""
    named = sorted(one.users)
    return f" under {', '.join(named[:3])}{f' and {len(named) - 3} more' if len(named) > 3 else ''}"


def judge_login_success(view: View) -> Iterator[Answer]:
    """Addresses that were let in after they had been refused."""
    for log in view.with_requests():
        crossed = log.tally.logins.crossed()
        # Once or twice everybody mistypes.
        many = [(refused, address) for refused, address in crossed if refused > _MISTYPED]
        named = [
            f"{view.address(address)}: {counted(refused, 'refusal')}" for refused, address in (many or crossed[:1])
        ]
        few = counted(len(crossed), "address was", "addresses were")
        note = f"{few} let in after refusals, {len(many)} of them after more than {_MISTYPED}" if crossed else ""
        yield from view.measure(
            "logs.http_login_success",
            log.path,
            crossed[0][0] if crossed else 0,
            "most refusals in a row of an address that was then let in",
            note=note,
            evidence=named[:_NAMED],
        )


def judge_uploads(view: View) -> Iterator[Answer]:
    """Scripts that were sent to, or fetched from, folders of uploads."""
    for log in view.with_requests():
        tally = log.tally
        both = sorted(set(tally.written) & set(tally.fetched))
        total = sum(tally.written.values()) + sum(tally.fetched.values())
        evidence = [f"{path}: written and then fetched" for path in both]
        evidence += [
            f"{path}: fetched {counted(many, 'time')}"
            for path, many in tally.fetched.most_common(_NAMED)
            if path not in both
        ]
        evidence += [
            f"{path}: written {counted(many, 'time')}"
            for path, many in tally.written.most_common(_NAMED)
            if path not in both
        ]
        uploads = sum(tally.uploads.values())
        summary = "scripts in folders of uploads"
        note = f"{counted(uploads, 'upload')} on {counted(len(tally.uploads), 'route')}"
        if both or tally.fetched:
            # Whatever the levels say: what was sent there was run from there.
            yield view.state(
                "logs.http_uploads",
                log.path,
                "critical",
                f"{summary}: {total}, fetched with success; {note}",
                evidence=evidence,
            )
            yield Metric("logs.http_uploads", log.path, total)
            continue
        yield from view.measure("logs.http_uploads", log.path, total, summary, note=note, evidence=evidence)
