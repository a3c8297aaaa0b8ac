# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an endpoint, and the answers, from what was collected alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import figures, statistics, statuses
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.collect import Collected, Probe, Sample
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.connection import CAUSES

#: How late the probe may have been before the times it took are called into question, in seconds.
LAG_WORTH_SAYING = 0.1
_RFC = "RFC 9110"

CATALOGUE = Catalogue(
    "web",
    [
        Check(
            "web.reachable",
            "Endpoint answers",
            "Nothing behind an address that does not answer can be used; the cause tells whose task it is.",
            "Each cause has its own remedy, from the record of the name over service and firewall to the certificate.",
            "getaddrinfo(3), connect(2), RFC 8446, RFC 9112",
        ),
        Check(
            "web.status",
            "Status code",
            "A status code that is not expected means that the application, or the proxy before it, says no.",
            "Read the application's log at the time of the request with log_review, and the proxy's error log.",
            f"{_RFC} section 15",
        ),
        Check(
            "web.latency",
            "Response time, 95th percentile",
            "Users feel the slow answers and not the average one. A request that ran into its time limit counts with "
            "the time it took.",
            "The metrics web.dns to web.transfer tell which phase is slow: the first byte points at the application "
            "and its database, connect and tls at the network, transfer at the size.",
            f"{_RFC}; monotonic clock, clock_gettime(2)",
            unit="s",
            levels=Levels(info=1, warning=2, critical=5),
        ),
        Check(
            "web.errors",
            "Failed requests",
            "Requests without a whole answer or with a status code that is not expected, among all samples.",
            "Read the application's log for the failed requests; raise samples to get a finer figure.",
            f"{_RFC} section 15",
            unit="%",
            levels=Levels(info=0.5, warning=1, critical=5),
        ),
        Check(
            "web.assertions",
            "What the answer says",
            "A health page can answer with status 200 and still name a dependency that is down.",
            "Look after the dependency that the evidence names.",
            "RFC 8259, the options json, body_matches, body_lacks and header_matches",
            levels=Levels(critical=1),
        ),
        Check(
            "web.redirect",
            "Redirects",
            "A redirect to another host, to plain http or in a circle sends users where nobody meant them to go.",
            "Correct the redirect in the web server, or allow it with redirects, redirect_other_host or "
            "redirect_downgrade.",
            f"{_RFC} section 15.4",
        ),
        Check(
            "web.size",
            "Size of the answer",
            "An answer that is far too small is often an error page, one that is far too large costs every user time.",
            "Look at what is served; set min_bytes and max_bytes to what is right.",
            "RFC 9112 section 6",
            unit="B",
        ),
        Check(
            "web.exposed",
            "Not to be reached",
            "A port that only the inside should see, such as a metrics server, is an open door on a public name.",
            "Bind the service to 127.0.0.1 or a private network, or close the port.",
            "connect(2), the option refused",
        ),
    ],
)


@dataclass(frozen=True)
class Judge:
    """What every judgement needs."""

    book: LevelBook
    checks: frozenset[str]
    lag: float


def evaluate(collected: Collected, *, book: LevelBook, checks: frozenset[str]) -> tuple[list[Finding], list[Metric]]:
    """Findings and metrics of all endpoints, in their order."""
    judge = Judge(book, checks, collected.lag)
    findings: list[Finding] = []
    metrics: list[Metric] = []
    for probe in collected.probes:
        findings.extend(finding for finding in _findings(probe, judge) if finding.check in checks)
        metrics.extend(figures.metrics(probe))
    return findings, metrics


def wanted(probe_refused: bool, checks: frozenset[str]) -> bool:
    """Whether an endpoint has to be asked at all for the checks that were chosen."""
    return ("web.exposed" in checks) if probe_refused else bool(checks - {"web.exposed"})


def _findings(probe: Probe, judge: Judge) -> Iterator[Finding]:
    if probe.endpoint.refused:
        yield _exposed(probe)
        return
    if not probe.requests:
        yield CATALOGUE.stated(
            "web.reachable",
            probe.endpoint.name,
            "unknown",
            "not asked: budget_seconds was spent before its turn came",
            remedy="Raise budget_seconds or concurrency, or lower samples and timeout_seconds.",
        )
        yield from _skipped(probe, "it was not asked within budget_seconds", judge)
        return
    answers = [sample for sample in probe.requests if not sample.cause or sample.status]
    yield _reachable(probe, answers)
    if not answers or not probe.samples:
        reason = "the endpoint does not answer" if not answers else "only the warm-up fitted into budget_seconds"
        yield from _skipped(probe, reason, judge)
        return
    for check, look in _LOOKS.items():
        if _applies(check, probe, judge):
            yield look(probe, judge)


def _skipped(probe: Probe, reason: str, judge: Judge) -> Iterator[Finding]:
    for check in _LOOKS:
        if _applies(check, probe, judge):
            yield CATALOGUE.skipped(check, probe.endpoint.name, reason)


def _applies(check: str, probe: Probe, judge: Judge) -> bool:
    """Whether a check was asked for by the endpoint's options, or has something to say unasked."""
    endpoint = probe.endpoint
    if check == "web.assertions":
        return endpoint.content.amount > 0
    if check == "web.redirect":
        met = any(sample.hops or sample.cause == "redirect" for sample in probe.samples)
        return met or endpoint.redirects != "follow" or endpoint.redirect_to is not None
    if check == "web.size":
        too_large = any(sample.oversize for sample in probe.samples)
        named = judge.book.names(check) or judge.book.names_item(check, endpoint.name)
        return too_large or named or endpoint.min_bytes > 0
    return True


def _causes(samples: Sequence[Sample]) -> list[str]:
    """Each way to fail once, the most frequent first, with its number."""
    seen = Counter(f"{sample.cause}: {sample.detail}" for sample in samples if sample.cause)
    return [f"{text} ({counted(amount, 'request')})" for text, amount in seen.most_common()]


def _origin(probe: Probe) -> list[str]:
    endpoint = probe.endpoint
    lines = [endpoint.url.shown] if endpoint.name != endpoint.url.shown else []
    return lines + ([f"served by {endpoint.server}"] if endpoint.server else [])


def _reachable(probe: Probe, answers: Sequence[Sample]) -> Finding:
    requests = probe.requests
    name = probe.endpoint.name
    evidence = [*_causes(requests), *_origin(probe)]
    if answers:
        silent = len(requests) - len(answers)
        summary = f"answered {len(answers)} of {counted(len(requests), 'request')}"
        if silent == 0 and probe.endpoint.url.scheme == "https" and not probe.endpoint.tls_verify:
            summary += "; its certificate was not verified, as tls_verify says"
        return CATALOGUE.stated("web.reachable", name, "ok", summary, evidence=evidence)
    last = requests[-1]
    status: Any = "unknown" if all(sample.cause == "local" for sample in requests) else "critical"
    return CATALOGUE.stated(
        "web.reachable",
        name,
        status,
        f"does not answer ({last.cause}): {last.detail}; none of {counted(len(requests), 'request')} was answered",
        evidence=evidence,
        remedy=CAUSES[last.cause],
    )


def _status(probe: Probe, judge: Judge) -> Finding:
    endpoint = probe.endpoint
    whole = [sample for sample in probe.samples if sample.status and sample.cause != "redirect"]
    if not whole:
        return CATALOGUE.skipped("web.status", endpoint.name, "no sample came to a final status code")
    if _redirect_fault(probe) and "web.redirect" in judge.checks:
        return CATALOGUE.skipped("web.status", endpoint.name, "the redirect is not what is expected, see web.redirect")
    wrong = [sample for sample in whole if sample.status not in endpoint.expected_status]
    amounts = Counter(sample.status for sample in whole)
    seen = ", ".join(f"{status} ({amount} of {len(whole)})" for status, amount in amounts.most_common())
    evidence = [f"status {sample.status}: {sample.snippet}" for sample in wrong[:3] if sample.snippet]
    status: Any = "ok" if not wrong else "critical" if len(wrong) == len(whole) else "warning"
    return CATALOGUE.stated(
        "web.status",
        endpoint.name,
        status,
        f"status {seen}; expected {endpoint.expected_status.worded}",
        evidence=evidence,
    )


def _latency(probe: Probe, judge: Judge) -> Finding:
    times = figures.latencies(probe)
    name = probe.endpoint.name
    if not times:
        return CATALOGUE.skipped("web.latency", name, "no sample was answered in whole")
    spread = statistics.distribution(times)
    notes = [f"median {duration(spread['p50'])}, slowest {duration(spread['max'])}"]
    if statistics.is_maximum(len(times), 95):
        notes.append(f"the p95 of {counted(len(times), 'sample')} is the slowest of them")
    timeouts = sum(1 for sample in probe.samples if sample.cause == "timeout")
    if timeouts:
        notes.append(f"{counted(timeouts, 'sample')} ran into the time limit and would have taken longer")
    if len(probe.samples) < probe.endpoint.samples:
        notes.append(f"{len(probe.samples)} of {probe.endpoint.samples} samples fitted into budget_seconds")
    if judge.lag >= LAG_WORTH_SAYING:
        notes.append(f"the probing host was busy and late by up to {duration(judge.lag)}")
    phases = [f"{phase}: median {duration(seconds)}" for phase, seconds in figures.phases(probe).items()]
    return CATALOGUE.measured(
        "web.latency",
        name,
        spread["p95"],
        f"p95 of {counted(len(times), 'sample')}",
        book=judge.book,
        evidence=phases,
        note="; ".join(notes),
    )


def _errors(probe: Probe, judge: Judge) -> Finding:
    failed = figures.failed(probe)
    total = len(probe.samples)
    name = probe.endpoint.name
    told_by = "web.redirect" if _redirect_fault(probe) else "web.status"
    if len(failed) == total and all(sample.status for sample in failed) and told_by in judge.checks:
        return CATALOGUE.skipped(
            "web.errors", name, f"all of {counted(total, 'sample')} failed for the cause that another finding tells"
        )
    wrong = Counter(sample.status for sample in failed if not sample.cause)
    evidence = [*_causes(failed), *(f"status {status} ({counted(n, 'request')})" for status, n in wrong.most_common())]
    return CATALOGUE.measured(
        "web.errors",
        name,
        100 * len(failed) / total,
        "failed requests",
        book=judge.book,
        evidence=evidence,
        note=f"{len(failed)} of {counted(total, 'sample')}, so one is {quantity(round(100 / total, 2), '%')}",
    )


def _assertions(probe: Probe, judge: Judge) -> Finding:
    name = probe.endpoint.name
    whole = [sample for sample in probe.samples if not sample.cause]
    seen = Counter(failure for sample in whole for failure in sample.failures)
    evidence = [f"{failure} ({amount} of {len(whole)} samples)" for failure, amount in seen.most_common()]
    if not whole:
        return CATALOGUE.skipped("web.assertions", name, "no sample was answered in whole")
    if all(sample.status not in probe.endpoint.expected_status for sample in whole):
        reason = f"the answer has status {whole[0].status}, which is not expected"
        return CATALOGUE.stated("web.assertions", name, "skipped", reason, evidence=evidence)
    return CATALOGUE.measured(
        "web.assertions",
        name,
        len(seen),
        "broken expectations",
        book=judge.book,
        evidence=evidence,
        note=f"{counted(probe.endpoint.content.amount, 'assertion')} on each of {counted(len(whole), 'answer')}",
    )


def _redirect_fault(probe: Probe) -> str:
    """What is wrong with where the endpoint leads; empty when nothing is."""
    endpoint = probe.endpoint
    for sample in probe.samples:
        leads = sample.status in statuses.REDIRECTS
        if sample.cause == "redirect":
            return sample.detail
        if sample.cause:
            continue
        if endpoint.redirects == "refuse" and leads and sample.status not in endpoint.expected_status:
            return f"it leads to {sample.location or 'nowhere'}, though no redirect is expected"
        if endpoint.redirects == "expect" and not leads:
            return f"it answers with status {sample.status} instead of a redirect"
        if endpoint.redirect_to is not None and not _arrives(endpoint.redirect_to, sample):
            arrived = sample.location or (sample.hops[-1] if sample.hops else "no other place")
            return f"it leads to {arrived}, which does not match {endpoint.redirect_to.pattern}"
    return ""


def _arrives(pattern: Any, sample: Sample) -> bool:
    return any(pattern.search(place) for place in (sample.target, *sample.hops[-1:]) if place)


def _redirect(probe: Probe, judge: Judge) -> Finding:
    name = probe.endpoint.name
    fault = _redirect_fault(probe)
    last = probe.samples[-1]
    chain = [f"then {hop}" for hop in last.hops]
    if fault:
        return CATALOGUE.stated("web.redirect", name, "critical", fault, evidence=chain)
    if all(sample.cause for sample in probe.samples):
        return CATALOGUE.skipped("web.redirect", name, "no sample was answered in whole")
    place = last.location or (last.hops[-1] if last.hops else "")
    return CATALOGUE.stated(
        "web.redirect", name, "ok", f"leads to {place}" if place else "answers without a redirect", evidence=chain
    )


def _size(probe: Probe, judge: Judge) -> Finding:
    endpoint = probe.endpoint
    whole = [sample for sample in probe.samples if not sample.cause]
    if not whole:
        return CATALOGUE.skipped("web.size", endpoint.name, "no sample was answered in whole")
    if any(sample.oversize for sample in whole):
        return CATALOGUE.stated(
            "web.size",
            endpoint.name,
            "warning",
            f"larger than max_bytes, {quantity(endpoint.max_bytes, 'B')}; reading stopped there",
        )
    levels = Levels(warning=endpoint.min_bytes, direction="lower") if endpoint.min_bytes else None
    smallest = min(sample.size for sample in whole)
    return CATALOGUE.measured("web.size", endpoint.name, smallest, "smallest body", book=judge.book, levels=levels)


_LOOKS: dict[str, Callable[[Probe, Judge], Finding]] = {
    "web.status": _status,
    "web.errors": _errors,
    "web.latency": _latency,
    "web.assertions": _assertions,
    "web.redirect": _redirect,
    "web.size": _size,
}

#: How a port looks that must not be reached, by the cause of the failed connection.
_CLOSED: dict[str, tuple[Any, str]] = {
    "refused": ("ok", "not reachable from here: the connection is refused"),
    "timeout": ("ok", "not reachable from here: nothing answers a connection"),
    "unreachable": ("ok", "not reachable from here: no way leads there"),
    "dns": ("unknown", "the name cannot be resolved, so nothing is known of the port"),
    "local": ("unknown", "the probing host ran out of resources"),
}


def _exposed(probe: Probe) -> Finding:
    name = probe.endpoint.name
    if not probe.samples:
        return CATALOGUE.stated("web.exposed", name, "unknown", "not asked: budget_seconds was spent before its turn")
    sample = probe.samples[0]
    if not sample.connected and sample.cause in _CLOSED:
        status, summary = _CLOSED[sample.cause]
        return CATALOGUE.stated("web.exposed", name, status, summary, evidence=[*_causes([sample]), *_origin(probe)])
    said = f"answers with status {sample.status}" if sample.status else f"takes connections ({sample.cause})"
    return CATALOGUE.stated(
        "web.exposed",
        name,
        "critical",
        f"reachable from here, though it must not be: {said}",
        evidence=[*_causes([sample]), *_origin(probe)],
    )
