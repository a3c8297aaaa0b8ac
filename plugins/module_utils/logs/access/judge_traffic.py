# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers on traffic: how much, how many errors, how slow."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.sketch import ERROR
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.view import (
    PERCENTILES,
    Figures,
    LogView,
    View,
    told,
)

#: Routes that get a finding of their own for one check, the worst ones, and routes that are named in evidence.
MAX_FINDINGS = 10
NAMED = 8
#: Routes whose figures are kept for trends.
MAX_METRICS = 20


def judge_traffic(view: View) -> Iterator[Answer]:
    """How many requests, and of whom."""
    for log in view.logs:
        total, tally = log.total, log.tally
        if not total.requests:
            yield view.state("logs.http_traffic", log.path, "info", "no new request")
            yield Metric("logs.http_requests", log.path, 0)
            continue
        span = f", from {tally.began} to {tally.ended}" if tally.began and tally.ended else ""
        classes = ", ".join(
            f"{digit}xx {100 * many / total.requests:.1f} %" for digit, many in sorted(total.classes.items())
        )
        more = "; more routes than max_routes, so some are counted together" if tally.overflowed else ""
        yield view.state(
            "logs.http_traffic",
            log.path,
            "ok",
            f"{counted(total.requests, 'request')}, {quantity(total.sent, 'B')} sent{span}; {classes}{more}",
            evidence=_busiest(view, log),
        )
        yield Metric("logs.http_requests", log.path, total.requests)
        yield Metric("logs.http_bytes", log.path, total.sent, "B")
        for digit, many in sorted(total.classes.items()):
            yield Metric(f"logs.http_{digit}xx", log.path, many)
        for route, one in log.busiest(view.min_requests)[:MAX_METRICS]:
            yield Metric("logs.http_requests", f"{log.path} {route}", one.requests)


def _busiest(view: View, log: LogView) -> list[str]:
    """Busiest routes, addresses and agents; counts of what was forgotten meanwhile are lower bounds."""
    routes = [
        f"{counted(one.requests, 'request')}, {quantity(one.sent, 'B')}, of {route}"
        for route, one in log.busiest(1)[:NAMED]
    ]
    addresses = told(log.tally.addresses.top(5), view)
    agents = [
        f"{counted(many, 'request')} by {agent.decode('utf-8', 'replace')}" for agent, many in log.tally.agents.top(4)
    ]
    at_least = "at least " if log.tally.addresses.missed else ""
    return [*routes, *(f"address {at_least}{one}" for one in addresses), *agents]


def judge_server_errors(view: View) -> Iterator[Answer]:
    yield from _judge_errors(view, "logs.http_server_errors", "5")


def judge_client_errors(view: View) -> Iterator[Answer]:
    yield from _judge_errors(view, "logs.http_client_errors", "4")


def _judge_errors(view: View, check: str, digit: str) -> Iterator[Answer]:
    for log in view.with_requests():
        many, total = log.total.classes.get(digit, 0), log.total.requests
        if total < view.min_requests:
            words = f"{many} of {counted(total, 'request')} answered with {digit}xx, too few to judge a share"
            yield view.state(check, log.path, "info" if many else "ok", words)
            continue
        yield from view.measure(
            check,
            log.path,
            log.total.share(digit),
            f"requests answered with {digit}xx",
            evidence=_server_evidence(view, log) if digit == "5" else _client_evidence(view, log),
            note=f"{many} of {counted(total, 'request')}",
        )
        yield from _worst_routes(view, log, check, digit)


def _worst_routes(view: View, log: LogView, check: str, digit: str) -> Iterator[Answer]:
    """The routes that are beyond a level, the worst first; the others are in the share of the whole log."""
    shares = sorted(((one.share(digit), route, one) for route, one in log.busiest(view.min_requests)), reverse=True)
    for share, route, one in shares[:MAX_FINDINGS]:
        # What nobody asks for but scanners is not an application's route.
        if route.startswith("("):
            continue
        note = f"{one.classes.get(digit, 0)} of {counted(one.requests, 'request')}"
        answers = list(
            view.measure(check, f"{log.path} {route}", share, f"requests answered with {digit}xx", note=note)
        )
        if getattr(answers[0], "status", "ok") != "ok":
            yield from answers


def _server_evidence(view: View, log: LogView) -> list[str]:
    by_status = sorted(
        ((one.requests, status, route) for (route, status), one in log.tally.shares.items() if status[0] == "5"),
        reverse=True,
    )
    evidence = [f"{many} x {status} {route}" for many, status, route in by_status[:NAMED]]
    worst = log.tally.worst
    if worst.errors:
        evidence.insert(
            0,
            f"worst stretch: {worst.share:.1f} %, {worst.errors} of {counted(worst.requests, 'request')}, "
            f"from {worst.began} to {worst.ended}",
        )
    return evidence


def _client_evidence(view: View, log: LogView) -> list[str]:
    missing = [f"{counted(many, 'request')} of what is missing: {path}" for path, many in log.missing(NAMED)]
    return [*missing, *(f"address {one}" for one in told(log.tally.failing.top(NAMED), view))]


def judge_latency(view: View) -> Iterator[Answer]:
    """The 95th percentile of the log and of its slow routes."""
    for log in view.with_requests():
        if not log.log.timed or not log.total.times.buckets:
            reason = log.log.note or "its lines hold no time of requests"
            yield view.catalogue.skipped(
                "logs.http_latency",
                log.path,
                reason,
                remedy="Add $request_time (nginx) or %D (Apache) to the format of the log.",
            )
            continue
        if len(log.total.times) < view.min_requests:
            few = counted(len(log.total.times), "request")
            words = f"{few} with a time, too few to judge percentiles"
            yield view.state("logs.http_latency", log.path, "ok", words)
            continue
        yield from _judge_times(view, log, log.path, log.total, alarms_only=False)
        slow = sorted(
            log.busiest(view.min_requests), key=lambda pair: -pair[1].times.percentile(95) if pair[1].times else 0
        )
        for route, one in slow[:MAX_FINDINGS]:
            if one.times:
                yield from _judge_times(view, log, f"{log.path} {route}", one, alarms_only=True)


def _judge_times(view: View, log: LogView, item: str, one: Figures, *, alarms_only: bool) -> Iterator[Answer]:
    values = one.times.percentiles(PERCENTILES)
    by_share = dict(zip(PERCENTILES, values))
    note = ", ".join(f"p{share} {quantity(value, 's')}" for share, value in by_share.items() if share != 95)
    slowest = [] if alarms_only else _slowest(view, log)
    answers = list(
        view.measure(
            "logs.http_latency",
            item,
            by_share[95],
            "95th percentile of the time of a request",
            note=f"{note}; each within {100 * ERROR:g} %",
            evidence=slowest,
        )
    )
    if alarms_only and getattr(answers[0], "status", "ok") == "ok":
        return
    yield from answers
    for share, value in by_share.items():
        yield Metric(f"logs.http_p{share}", item, value, "s")


def _slowest(view: View, log: LogView) -> list[str]:
    timed = [(one.times.percentile(95), route, one) for route, one in log.busiest(view.min_requests) if one.times]
    return [
        f"p95 {quantity(value, 's')} of {counted(one.requests, 'request')}, {route}"
        for value, route, one in sorted(timed, key=lambda entry: (-entry[0], entry[1]))[:NAMED]
    ]
