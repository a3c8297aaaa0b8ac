# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's own check: whether it still says what was written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal.chain import Verdict, verify

CATALOGUE = Catalogue(
    "journal",
    [
        Check(
            id="journal.chain",
            title="The journal is whole",
            meaning="Every record carries the hash of the record before it, and every closed run a head over all its "
            "hosts, chained to the run before. A changed, removed, added or moved line, file or run breaks the chain.",
            remedy="Compare with a copy of the journal kept elsewhere; treat the records from the named line on as "
            "unproved and find out who can write to the reports folder.",
            source="SHA-256 over the canonical JSON of each line",
        ),
        Check(
            id="journal.closed",
            title="Every run was closed",
            meaning="A run without a head was interrupted before its report, or is still going. Its lines verify, but "
            "lines cut off its end would not be noticed.",
            remedy="Run fleetcare.maintenance.report for it, or look at why it was interrupted.",
            source="head.json of each run",
        ),
    ],
)


def check(context: Context) -> Result:
    """Verify the journal that ``path`` names. Raises OptionError where there is none."""
    given = context.params["path"]
    path = Path(given or "")
    if not given or not os.path.isdir(given):
        raise OptionError("path", given, "the journal folder inside a reports folder, such as reports/journal")
    head = context.params["head"]
    if head is not None and not re.fullmatch(r"[0-9a-f]{64}", head):
        raise OptionError("head", head, "the hash of a head: 64 hexadecimal digits in lower case")
    try:
        verdict = verify(path, run=context.params["run"], expected_head=head)
    except OSError as error:
        raise MaintenanceError(
            f"The journal in {given} cannot be read: {error.strerror} ({error.filename}).",
            remedy="Run the module as the user who owns the journal.",
        ) from error
    if context.params["run"] and not verdict.runs:
        raise OptionError("run", context.params["run"], "the id of a run in the journal")
    return _judge(context, str(path), verdict)


def _judge(context: Context, path: str, verdict: Verdict) -> Result:
    result = Result(extra={"head": verdict.head, "first_problem": ""})
    looked_at = f"{counted(verdict.records, 'record')} in {counted(verdict.runs, 'run')}"
    if "journal.chain" in context.checks:
        if verdict.problems:
            worded = [problem.worded() for problem in verdict.problems]
            result.extra["first_problem"] = worded[0]
            summary = f"{looked_at}: broken first at {worded[0]}"
            result.findings.append(CATALOGUE.stated("journal.chain", path, "critical", summary, evidence=worded))
        else:
            result.findings.append(CATALOGUE.stated("journal.chain", path, "ok", f"{looked_at}: the chain is whole"))
    if "journal.closed" in context.checks:
        count = len(verdict.open_runs)
        status: Status = "info" if count else "ok"
        summary = f"{counted(count, 'run')} of {verdict.runs} without a head"
        torn = [f"{place}: its last line was cut off" for place in verdict.torn]
        evidence = [*torn, *verdict.open_runs]
        result.findings.append(CATALOGUE.stated("journal.closed", path, status, summary, evidence=evidence))
    result.metrics.append(Metric("journal.records", path, verdict.records))
    return result
