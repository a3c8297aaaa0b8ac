# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table from check to answer, and what is left for the next run and for the fleet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer, Questions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import judge_attacks, judge_traffic
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.view import (
    PERCENTILES,
    LogView,
    View,
)


def judge_sources(view: View, check: str) -> Iterator[Answer]:
    """What was said while the logs were read."""
    yield from (finding for finding in view.sources if finding.check == check)


QUESTIONS: Questions[View] = {
    "logs.readable": (partial(judge_sources, check="logs.readable"), ()),
    "logs.lost": (partial(judge_sources, check="logs.lost"), ()),
    "logs.behind": (partial(judge_sources, check="logs.behind"), ()),
    "logs.skipped_lines": (partial(judge_sources, check="logs.skipped_lines"), ()),
    "logs.http_traffic": (judge_traffic.judge_traffic, ()),
    "logs.http_server_errors": (judge_traffic.judge_server_errors, ()),
    "logs.http_client_errors": (judge_traffic.judge_client_errors, ()),
    "logs.http_latency": (judge_traffic.judge_latency, ()),
    "logs.http_login_failures": (judge_attacks.judge_login_failures, ()),
    "logs.http_login_success": (judge_attacks.judge_login_success, ()),
    "logs.http_attacks": (judge_attacks.judge_attacks, ()),
    "logs.http_attack_success": (judge_attacks.judge_attack_success, ()),
    "logs.http_uploads": (judge_attacks.judge_uploads, ()),
}

#: Addresses of one host that the controller is told of, to see which of them go from host to host.
TOLD = 300
_LISTED = 50


def sources(view: View) -> list[dict[str, Any]]:
    """The addresses with the most attacks, refused logins and failing requests, for the report to compare among hosts.

    An address that does little here may do it everywhere.
    """
    found: dict[str, dict[str, Any]] = {}

    def of(address: str) -> dict[str, Any]:
        return found.setdefault(
            address, {"address": address, "requests": 0, "errors": 0, "failures": 0, "attacks": 0, "score": 0}
        )

    for log in view.logs:
        for address, one in judge_attacks.heaviest(log)[:TOLD]:
            entry = of(view.address(address))
            entry["failures"] += one.failures
            entry["attacks"] += one.attacks
            entry["score"] += one.score
        for raw, many in log.tally.failing.top(TOLD):
            of(clean(view.address(raw), limit=60))["errors"] += many
        for raw, many in log.tally.addresses.top(len(log.tally.addresses.counts)):
            address = clean(view.address(raw), limit=60) if view.mask else raw.decode("utf-8", "replace")
            if address in found:
                found[address]["requests"] += many
    ordered = sorted(found.values(), key=lambda one: (-one["score"], -one["failures"], -one["errors"], one["address"]))
    return ordered[:TOLD]


def measurements(view: View) -> list[dict[str, Any]]:
    """Each log's figures as data."""
    return [_measured(view, log) for log in view.logs]


def _measured(view: View, log: LogView) -> dict[str, Any]:
    tally = log.tally
    statuses: dict[str, int] = {}
    for (_route, status), share in tally.shares.items():
        statuses[status] = statuses.get(status, 0) + share.requests
    return {
        "path": log.path,
        "format": log.log.how,
        "lines": tally.lines,
        "requests": log.total.requests,
        "unparsed": tally.unparsed,
        "bytes": log.total.sent,
        "began": tally.began,
        "ended": tally.ended,
        "statuses": dict(sorted(statuses.items())),
        "seconds": _percentiles(log.total.times),
        "routes": [
            {
                "route": route,
                "requests": one.requests,
                "bytes": one.sent,
                "errors_4xx": one.classes.get("4", 0),
                "errors_5xx": one.classes.get("5", 0),
                "seconds": _percentiles(one.times),
            }
            for route, one in log.busiest(1)[:_LISTED]
        ],
        "addresses": _named(view, tally.addresses.top(_LISTED)),
        "addresses_missed": tally.addresses.missed,
        "agents": [
            {"agent": clean(raw.decode("utf-8", "replace"), limit=200), "requests": many}
            for raw, many in tally.agents.top(20)
        ],
        "missing": [{"path": path, "requests": many} for path, many in log.missing(20)],
    }


def _percentiles(times: Any) -> dict[str, float]:
    if not times.buckets:
        return {}
    return {f"p{share}": round(value, 6) for share, value in zip(PERCENTILES, times.percentiles(PERCENTILES))}


def _named(view: View, counts: Sequence[tuple[bytes, int]]) -> list[dict[str, Any]]:
    together: dict[str, int] = {}
    for raw, many in counts:
        name = clean(view.address(raw), limit=60)
        together[name] = together.get(name, 0) + many
    return [{"address": name, "requests": many} for name, many in together.items()]
