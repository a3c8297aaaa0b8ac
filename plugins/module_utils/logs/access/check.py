# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of ``access_log_review``: options, one pass over each log, all questions, the memory for the next run."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.baseline import judge
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.collect import Collector
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.options import read_options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.questions import (
    QUESTIONS,
    measurements,
    sources,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.view import LogView, View


def check(context: Context) -> Result:
    """Read what is new, and answer the chosen checks."""
    checks = context.checks & QUESTIONS.keys()
    if not checks:
        raise OptionError("checks", context.params.get("checks"), f"globs that match some of {', '.join(QUESTIONS)}")
    wanted = read_options(context.params)
    collector = Collector(
        wanted=wanted,
        catalogue=context.catalogue,
        book=context.book,
        remembered=context.memory,
        now=context.clock.now(),
    )
    collector.read()
    baselines: dict[str, Any] = {}
    logs = []
    for log in collector.reviewed:
        known = collector.baselines_of(log.path)
        known.learn(log.tally.shares)
        baselines[log.path] = known.as_memory()
        logs.append(LogView(log=log, verdicts=judge(log.tally.answered, known)))
    view = View(
        memory=context.memory,
        catalogue=context.catalogue,
        book=context.book,
        logs=logs,
        sources=collector.findings,
        min_requests=wanted.min_requests,
        mask=wanted.mask,
    )
    findings, metrics = answer(view, QUESTIONS, checks, item="host")
    return Result(
        findings=findings,
        metrics=metrics,
        memory={"files": collector.marks, "baselines": baselines},
        extra={"logs": measurements(view), "sources": sources(view)},
    )
