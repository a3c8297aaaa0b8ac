# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of ``http_check``: endpoints in, findings out."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.checks import evaluate, wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.collect import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import read_all
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.figures import measurements


def check(context: Context) -> Result:
    """Ask every endpoint that the chosen checks need. Raises OptionError before anything is asked."""
    endpoints = [one for one in read_all(context.params) if wanted(one.refused, context.checks)]
    collected = collect(
        endpoints,
        concurrency=int(context.params["concurrency"]),
        budget_seconds=float(context.params["budget_seconds"]),
        monotonic=context.clock.monotonic,
    )
    findings, metrics = evaluate(collected, book=context.book, checks=context.checks)
    return Result(
        findings=findings,
        metrics=metrics,
        extra={
            "endpoints": measurements(collected),
            "probe": {
                "endpoints": len(collected.probes),
                "requests": sum(len(probe.requests) for probe in collected.probes),
                "seconds": round(collected.seconds, 3),
                "lag_seconds": round(collected.lag, 3),
            },
        },
    )
