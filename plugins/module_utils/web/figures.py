# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a probe: for trends, and to compare before and after a change."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import statistics
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.client import PHASES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.collect import Collected, Probe, Sample


def latencies(probe: Probe) -> list[float]:
    """Seconds of the samples that say how long users wait: the answered ones and those that ran into the limit.

    Empty when none was answered: a time limit alone is no measurement.
    """
    if all(sample.cause for sample in probe.samples):
        return []
    return [sample.seconds for sample in probe.samples if not sample.cause or sample.cause == "timeout"]


def failed(probe: Probe) -> list[Sample]:
    expected = probe.endpoint.expected_status
    return [sample for sample in probe.samples if sample.cause or sample.status not in expected]


def phases(probe: Probe) -> dict[str, float]:
    """Median seconds of each phase over the samples answered in whole."""
    whole = [sample for sample in probe.samples if not sample.cause]
    times = {phase: [sample.phases[phase] for sample in whole if phase in sample.phases] for phase in PHASES}
    return {phase: median(values) for phase, values in times.items() if values}


def metrics(probe: Probe) -> Iterator[Metric]:
    item = probe.endpoint.name
    if probe.endpoint.refused or not probe.samples:
        return
    for name, seconds in statistics.distribution(latencies(probe)).items():
        yield Metric("web.latency" if name == "p95" else f"web.latency_{name}", item, seconds, "s")
    for phase, seconds in phases(probe).items():
        yield Metric(f"web.{phase}", item, seconds, "s")
    yield Metric("web.errors", item, 100 * len(failed(probe)) / len(probe.samples), "%")
    sizes = [sample.size for sample in probe.samples if not sample.cause and not sample.oversize]
    if sizes:
        yield Metric("web.size", item, int(median(sizes)), "B")


def measurements(collected: Collected) -> list[dict[str, Any]]:
    """A plain row an endpoint, in seconds and bytes, to compare before and after a change."""
    return [
        {
            "name": probe.endpoint.name,
            "url": probe.endpoint.url.shown,
            "samples": len(probe.samples),
            "failed": len(failed(probe)) if not probe.endpoint.refused else 0,
            "seconds": {name: round(value, 6) for name, value in statistics.distribution(latencies(probe)).items()},
            "phases": {name: round(value, 6) for name, value in phases(probe).items()},
        }
        for probe in collected.probes
        if not probe.endpoint.refused
    ]
