# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_rotation_check``: options, one look, all questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer, parts_for
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import configured, space
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.collect import Settings, collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.view import Question, View

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "min_size": {"type": "bytes", "default": "16M"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "walk_seconds": {"type": "float", "default": 20},
    "walk_entries": {"type": "int", "default": 500000},
}

#: check: (function, parts of the Snapshot that have to be collected for it)
QUESTIONS: Mapping[str, tuple[Question, tuple[str, ...]]] = {
    "logs.rotation_errors": (configured.errors, ("dry_run",)),
    "logs.rotation_files": (configured.files, ("configuration",)),
    "logs.rotation_duplicates": (configured.duplicates, ("dry_run",)),
    "logs.rotation_missing": (configured.missing, ("dry_run",)),
    "logs.rotation_folders": (configured.folders, ("dry_run",)),
    "logs.rotation_reopen": (configured.reopen, ("covered", "descriptors")),
    "logs.rotation_options": (configured.options, ("configuration",)),
    "logs.rotation_uncompressed": (configured.uncompressed, ("covered",)),
    "logs.rotation_age": (configured.age, ("status",)),
    "logs.rotation_overdue": (configured.overdue, ("covered", "status")),
    "logs.rotation_schedule": (configured.schedule, ("schedule",)),
    "logs.large_files": (space.large_files, ("large_files", "covered")),
    "logs.deleted_open": (space.deleted_open, ("descriptors",)),
    "logs.journal_use": (space.journal_use, ("journal",)),
    "logs.journal_limits": (space.journal_limits, ("journal",)),
    "logs.partition_free": (space.partition_free, ("space",)),
}


def check(context: Context) -> Result:
    """Look at the host and answer those of the chosen checks that are about rotation."""
    settings = read_settings(context.params)
    chosen = context.checks & QUESTIONS.keys()
    snapshot = collect(parts_for(QUESTIONS, chosen), settings=settings, clock=context.clock)
    view = View(
        memory=context.memory, catalogue=context.catalogue, book=context.book, host=snapshot, now=context.clock.now()
    )
    findings, metrics = answer(view, QUESTIONS, chosen, item="logrotate")
    return Result(findings=findings, metrics=metrics)


def read_settings(params: Mapping[str, Any]) -> Settings:
    """The module's own options, each refused in one sentence where it makes no sense. Raises OptionError."""
    for option, least, most, expected in (
        ("min_size", 4096, 2**60, "a size of at least 4K"),
        ("walk_seconds", 0.1, 600, "seconds from 0.1 to 600"),
        ("walk_entries", 100, 100_000_000, "a whole number of entries from 100 to 100000000"),
    ):
        require_between(params[option], least, most, option=option, expected=expected)
    return Settings(
        least=params["min_size"],
        exclude=tuple(params["exclude"]),
        seconds=params["walk_seconds"],
        entries=params["walk_entries"],
    )
