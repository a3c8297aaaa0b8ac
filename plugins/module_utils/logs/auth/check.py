# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of ``auth_log_review``: options, one reading, all questions, and the memory for the next run."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import listeners
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer, parts_for
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.collect import Collector
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.memory import Memory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import read_options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import (
    QUESTIONS,
    remember,
    sources,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.telling import Telling
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View


def check(context: Context) -> Result:
    """Read what is new, and answer the chosen checks."""
    checks = context.checks & QUESTIONS.keys()
    if not checks:
        raise OptionError("checks", context.params.get("checks"), f"globs that match some of {', '.join(QUESTIONS)}")
    wanted = read_options(context.params)
    now = context.clock.now().timestamp()
    memory = Memory(context.memory, now=now, networks_days=wanted.settings.networks_days)
    collector = Collector(
        wanted=wanted,
        review=Review(wanted.settings, memory),
        blocks=Blocks(wanted.settings),
        tell=Telling(context.catalogue, context.book),
        remembered=context.memory,
        now=now,
    )
    collector.read()
    view = View(
        memory=context.memory,
        catalogue=context.catalogue,
        book=context.book,
        settings=wanted.settings,
        logins=collector.logins,
        kernel=collector.kernel,
        sources=collector.tell.findings,
        listeners=listeners.collect(owners=True) if "listeners" in parts_for(QUESTIONS, checks) else (),
        covered=collector.progress.covered,
        now=now,
    )
    findings, metrics = answer(view, QUESTIONS, checks, item="host")
    kept = {**remember(memory, view), **collector.kept()}
    return Result(findings=findings, metrics=metrics, memory=kept, extra={"sources": sources(view)})
