# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of logrotate's configuration and of its running: pure functions of the view."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.status import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.view import View, base

#: Two periods and a day: what is rotated later than that is overdue.
PERIODS = {"hourly": 3600, "daily": 86400, "weekly": 7 * 86400, "monthly": 31 * 86400, "yearly": 366 * 86400}
_DAY = 86400


def errors(view: View) -> Iterator[Answer]:
    said = given(view.host.dry_run)
    named = [*said.errors, *(f"left out: {what}" for what in said.skipped)]
    if said.errors:
        amount = counted(len(said.errors), "error")
        yield view.state(
            "logs.rotation_errors",
            "logrotate",
            "critical",
            f"logrotate reports {amount}: {said.errors[0]}",
            evidence=named,
        )
    elif said.warnings:
        yield view.state(
            "logs.rotation_errors",
            "logrotate",
            "warning",
            f"logrotate warns: {said.warnings[0]}",
            evidence=said.warnings,
        )
    else:
        amount = counted(len(said.considered), "log")
        yield view.state("logs.rotation_errors", "logrotate", "ok", f"logrotate reads its configuration: {amount}")


def files(view: View) -> Iterator[Answer]:
    configuration = given(view.host.configuration)
    for path, why in sorted(configuration.ignored.items()):
        leftover = "name" in why
        yield view.state("logs.rotation_files", path, "info" if leftover else "warning", f"{path} {why}")
    if not configuration.ignored:
        amount = counted(len(configuration.files), "configuration file")
        yield view.state("logs.rotation_files", "logrotate", "ok", f"all {amount} of logrotate are read")


def duplicates(view: View) -> Iterator[Answer]:
    found = given(view.host.dry_run).duplicates
    if found:
        said = f"{counted(len(found), 'log')} named by two rules: {found[0]}"
        yield view.state("logs.rotation_duplicates", "logrotate", "warning", said, evidence=found)
    else:
        yield view.state("logs.rotation_duplicates", "logrotate", "ok", "no log is named by two rules")


def missing(view: View) -> Iterator[Answer]:
    found = given(view.host.dry_run).missing
    if found:
        said = f"{counted(len(found), 'log')} named without missingok and not there: {found[0]}"
        yield view.state("logs.rotation_missing", "logrotate", "warning", said, evidence=found)
    else:
        yield view.state("logs.rotation_missing", "logrotate", "ok", "every log that has to be there is there")


def folders(view: View) -> Iterator[Answer]:
    found = given(view.host.dry_run).insecure
    if found:
        said = f"{counted(len(found), 'log')} in folders open to others is not rotated for want of su: {found[0]}"
        yield view.state("logs.rotation_folders", "logrotate", "critical", said, evidence=found)
    else:
        yield view.state("logs.rotation_folders", "logrotate", "ok", "logrotate works in every folder that it is given")


def reopen(view: View) -> Iterator[Answer]:
    """Programs that write to a log which a rule renames without a word, or to one that was renamed so."""
    covered, descriptors = given(view.host.covered), given(view.host.descriptors)
    if descriptors.hidden:
        raise Absent(f"what {descriptors.hidden} hold open may not be seen", remedy="Run the check with become.")
    renamed = {
        key: path
        for key, path in covered.identities.items()
        if not covered.logs[path].leaves_file and not _tells(covered.logs[path])
    }
    untold = descriptors.writers(renamed)
    for path in sorted(untold):
        rule, writers = covered.logs[path], ", ".join(sorted(untold[path]))
        yield view.state(
            "logs.rotation_reopen",
            path,
            "warning",
            f"{base(rule.file)} renames {path}, and does not tell {writers}",
            evidence=[f"{rule.file} line {rule.line}"],
        )
    if not untold:
        yield view.state("logs.rotation_reopen", "logrotate", "ok", "whoever writes to a rotated log is told of it")


def _tells(rule: Rule) -> bool:
    return bool(rule.scripts & {"postrotate", "lastaction"})


def options(view: View) -> Iterator[Answer]:
    amiss = 0
    for rule in given(view.host.configuration).rules:
        for said in _amiss(rule):
            amiss += 1
            item = rule.patterns[0] if rule.patterns else base(rule.file)
            place = f"{rule.file} line {rule.line}"
            yield view.state("logs.rotation_options", item, "info", f"{base(rule.file)}: {said}", evidence=[place])
    if not amiss:
        yield view.state("logs.rotation_options", "logrotate", "ok", "no rule has settings that work against it")


def _amiss(rule: Rule) -> Iterator[str]:
    settings = rule.settings
    kept = settings.get("rotate", "0")
    if kept == "0":
        yield "keeps no old log (rotate is 0 or not set), so a rotation deletes what it rotates"
    elif kept.startswith("-") and "maxage" not in settings:
        yield "keeps old logs for ever (rotate is negative and there is no maxage)"
    often = rule.frequency in ("hourly", "size", "minutes") or "maxsize" in settings
    fine = rule.frequency == "hourly" or any(one in settings.get("dateformat", "") for one in ("%H", "%s", "%S"))
    if "dateext" in settings and often and not fine:
        yield "may rotate twice a day and names old logs by the day, so the second rotation fails"
    if not rule.frequency:
        yield "has neither a period nor a size"


def uncompressed(view: View) -> Iterator[Answer]:
    files = sorted(given(view.host.covered).uncompressed, key=lambda file: -file.used)
    total = sum(file.used for file in files)
    yield from view.measure(
        "logs.rotation_uncompressed",
        "logrotate",
        total,
        f"{counted(len(files), 'older rotated log')} not compressed",
        evidence=[f"{file.path}: {quantity(file.used, 'B')}" for file in files if file.used],
    )


#: A clock that is this far behind the one that wrote a file has been set back.
_AHEAD = timedelta(hours=1)


def age(view: View) -> Iterator[Answer]:
    status = given(view.host.status)
    if status.written and status.written - view.now > _AHEAD:
        ahead = duration(int((status.written - view.now).total_seconds()))
        said = f"the status file of logrotate was written {ahead} in the future, so when it ran is not known"
        yield view.state("logs.rotation_age", status.path, "unknown", said, remedy="Set the clock right (timedatectl).")
    elif status.written:
        seconds = max(0.0, (view.now - status.written).total_seconds())
        yield from view.measure("logs.rotation_age", status.path, seconds, "since the last run of logrotate")
    else:
        since = status.since or view.now
        seconds = max(0.0, (view.now - since).total_seconds())
        yield from view.measure(
            "logs.rotation_age", status.path, seconds, "logrotate has not run yet since it was installed"
        )


def overdue(view: View) -> Iterator[Answer]:
    """Logs with something in them whose entry is older than two periods of their rule."""
    covered, status = given(view.host.covered), given(view.host.status)
    late = []
    for path, rule in sorted(covered.logs.items()):
        seconds = _late(path, rule, covered.sizes.get(path, 0), status, view.now)
        if seconds:
            late.append(f"{path}: {rule.frequency}, and last rotated {duration(seconds)} ago")
    if late:
        said = f"{counted(len(late), 'log')} overdue for rotation: {late[0]}"
        yield view.state("logs.rotation_overdue", "logrotate", "warning", said, evidence=late)
    else:
        yield view.state("logs.rotation_overdue", "logrotate", "ok", "every log was rotated within its period")


def _late(path: str, rule: Rule, size: int, status: Status, now: datetime) -> float:
    """Seconds since the last rotation where that is too long ago, else 0."""
    period = PERIODS.get(rule.frequency)
    entry = status.entries.get(path)
    if period is None or entry is None or not size or "minsize" in rule.settings or "minage" in rule.settings:
        return 0.0
    seconds = (now - entry).total_seconds()
    return seconds if seconds > 2 * period + _DAY else 0.0


def schedule(view: View) -> Iterator[Answer]:
    found = given(view.host.schedule)
    if not found.by:
        yield view.state(
            "logs.rotation_schedule", "logrotate", "critical", f"nothing starts logrotate: {found.hindrance}"
        )
    elif found.hindrance:
        yield view.state("logs.rotation_schedule", "logrotate", "warning", found.hindrance)
    else:
        yield view.state("logs.rotation_schedule", "logrotate", "ok", f"{found.by} starts logrotate")
    if found.failure:
        said = f"the last run of logrotate failed ({found.failure})"
        yield view.state("logs.rotation_schedule", "logrotate.service", "critical", said)
