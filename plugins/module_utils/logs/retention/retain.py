# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_retention``: look, decide by the policy, remove what is due and nothing else, and say all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Busy, Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError, default_directory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import (
    Descriptors,
    collect_descriptors,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import PERSISTENT, collect_folders
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import vacuum
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.act import Doer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.globs import covering
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.keep import (
    Generation,
    Verdict,
    decide,
    within_budget,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.manifest import Manifest
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import Policy, Root, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.verdicts import (
    class_findings,
    folder_findings,
    hold_findings,
    journal_findings,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.walk import (
    Found,
    NoFolder,
    Walk,
    hold_of,
    walk,
)

REPAIR = "log_retention"
#: So many of the files that are kept for a reason stand in the result one by one.
MOST_KEPT = 200


class World:
    """What the repair asks of the host; tests hand in another."""

    def descriptors(self) -> Descriptors:
        return collect_descriptors()

    def walk(self, root: Root, others: frozenset[str], clock: Clock) -> Walk:
        return walk(root.path, recurse=root.recurse, others=others, called=root.names, clock=clock)


@dataclass
class Survey:
    """What was found of each root, what becomes of it, and why a root could not be walked."""

    walks: dict[Root, Walk] = field(default_factory=dict)
    failures: dict[Root, NoFolder] = field(default_factory=dict)
    verdicts: dict[Root, list[Verdict]] = field(default_factory=dict)
    files: dict[str, Found] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    going: list[Verdict] = field(default_factory=list)
    waiting: list[Verdict] = field(default_factory=list)
    spent: str = ""


def retain(context: Context, *, world: World | None = None) -> Result:
    """The whole repair. ``world`` stands in for the host in tests."""
    policy = parse(context.params)
    ledger = Ledger(Path(context.params["state_dir"] or default_directory()), REPAIR)
    with ExitStack() as stack:
        try:
            if context.check_mode:
                ledger.would_be_alone()
            else:
                stack.enter_context(ledger.alone())
        except (Busy, StateError) as error:
            return _nothing(context, policy, str(error))
        return _with(context, policy, world or World(), ledger.directory)


def _nothing(context: Context, policy: Policy, reason: str) -> Result:
    kinds = dict.fromkeys(root.kind for root in policy.roots if root.limits)
    said = reason.rstrip(".")
    return Result(
        findings=[
            context.catalogue.skipped("logs.retention", kind, f"nothing was looked at: {said}") for kind in kinds
        ],
        plan=[],
        kept=[kept(root.path, said) for root in policy.roots if root.limits],
    )


def _with(context: Context, policy: Policy, world: World, directory: Path) -> Result:
    descriptors = world.descriptors()
    if descriptors.hidden and any(root.limits for root in policy.roots):
        return _nothing(context, policy, f"which files {descriptors.hidden} hold open may not be seen; run it as root")
    now = context.clock.now()
    survey = _survey(policy, world, descriptors, context.clock, now)
    vacuums, journal_error = _plan_vacuums(policy, survey.going, now)
    steps = [*_steps(survey), *_vacuum_steps(vacuums)]
    doer = Doer(
        files=survey.files,
        vacuums={one.folder.path: one for one in vacuums},
        kinds=survey.kinds,
        manifest=Manifest(directory),
        clock=context.clock,
        deadline=context.deadline,
        look=world.descriptors,
        checksum=policy.checksum,
    )
    execution = None if context.check_mode else execute(steps, doer, deadline=context.deadline)
    findings = [
        *folder_findings(context.catalogue, survey.walks, survey.failures),
        *class_findings(context.catalogue, survey.verdicts, survey.going, survey.waiting, survey.spent, execution),
        *hold_findings(context.catalogue, _idle_holds(policy, survey, vacuums)),
        *journal_findings(context.catalogue, vacuums, journal_error, execution, asked=policy.journal is not None),
    ]
    return Result(
        findings=findings,
        metrics=list(_metrics(survey)),
        plan=steps,
        execution=execution,
        kept=[*_kept(survey), *(kept(one.folder.path, one.kept) for one in vacuums if one.kept)],
    )


def _survey(policy: Policy, world: World, descriptors: Descriptors, clock: Clock, now: datetime) -> Survey:
    survey = Survey()
    folders = frozenset(root.path for root in policy.roots)
    opened = {file.key for file in descriptors.files}
    for root in policy.roots:
        if root.limits is None:
            continue
        try:
            found = world.walk(root, folders - {root.path}, clock)
        except NoFolder as error:
            survey.failures[root] = error
            continue
        survey.walks[root] = found
        if found.incomplete:
            # Of a folder that was not seen as a whole nobody knows which generations are the newest.
            continue
        mine = [file for file in found.files if not covering(root.exclude, file.path, file.log)]
        generations = [_generation(file, policy, descriptors if _key(file) in opened else None) for file in mine]
        survey.verdicts[root] = decide(generations, root.limits, now=now, most=policy.budget.bytes)
        survey.files.update({file.path: file for file in mine})
        survey.kinds.update({file.path: root.kind for file in mine})
    everything = [verdict for verdicts in survey.verdicts.values() for verdict in verdicts]
    survey.going, survey.waiting, survey.spent = within_budget(everything, policy.budget)
    return survey


def _idle_holds(policy: Policy, survey: Survey, vacuums: Sequence[vacuum.Vacuum]) -> list[str]:
    """The globs that match no folder of the policy, nothing met in one, and no log of what was met."""
    folders = [*(root.path for root in policy.roots), *(one.folder.path for one in vacuums)]
    unseen = tuple(f"{root.path}/" for root in policy.roots if root.limits and root not in survey.verdicts)
    met = [path for found in survey.walks.values() for path in found.paths]
    met += [file.log for found in survey.walks.values() for file in found.files]
    met += [f"{one.folder.path}/{file.name}" for one in vacuums for file in one.folder.archived]
    return [
        glob
        for glob in policy.hold
        if not covering((glob,), *folders)
        and not glob.startswith(unseen)
        and not any(fnmatchcase(path, glob) for path in met)
    ]


def _key(file: Found) -> tuple[int, int]:
    return file.device, file.inode


def _generation(file: Found, policy: Policy, holders: Descriptors | None) -> Generation:
    until = file.rotated.until
    return Generation(
        path=file.path,
        log=file.log,
        number=file.rotated.number,
        moment=max(file.changed, until) if until else file.changed,
        used=file.used,
        stays=_stays(file, policy, holders),
    )


def _stays(file: Found, policy: Policy, holders: Descriptors | None) -> str:
    held = _hold(policy, file.held, file.path, file.log)
    if held:
        return held
    if holders:
        return f"{holders.holder(file.device, file.inode)} has it open"
    if file.links != 1:
        return f"it has {file.links} names, and removing one would free nothing"
    return ""


def _hold(policy: Policy, marker: str, *paths: str) -> str:
    """What holds a file, a marker on the host or a glob of the task; empty where nothing does."""
    glob = policy.holds(*paths)
    return f"{marker} holds it" if marker else f"the hold on {glob} covers it" if glob else ""


def _steps(survey: Survey) -> Iterator[Step]:
    for verdict in survey.going:
        generation = verdict.generation
        yield Step(
            action="remove",
            target=generation.path,
            reason=verdict.reason,
            reversible=False,
            estimate={"bytes": generation.used},
        )


def _plan_vacuums(policy: Policy, going: Sequence[Verdict], now: datetime) -> tuple[list[vacuum.Vacuum], str]:
    """What of the journal goes, within what the other removals leave of the budget of files and bytes."""
    if policy.journal is None:
        return [], ""
    try:
        folders = collect_folders((PERSISTENT,))
    except OSError as error:
        return [], f"{error.filename}: {error.strerror}"
    spent = sum(verdict.generation.used for verdict in going)
    room = vacuum.Room(policy.budget.files, policy.budget.bytes or None).less(len(going), spent)
    planned = []
    for folder in folders:
        marker = hold_of(folder.path)
        holds = partial(_hold, policy, marker)
        planned.append(vacuum.plan(folder, policy.journal, now=now, room=room, holds=holds))
        room = room.less(len(planned[-1].going), planned[-1].used)
    return planned, ""


def _vacuum_steps(vacuums: Sequence[vacuum.Vacuum]) -> Iterator[Step]:
    for one in vacuums:
        if one.going:
            yield Step(
                action="vacuum",
                target=one.folder.path,
                reason=one.reason,
                reversible=False,
                estimate={"bytes": one.used, "files": len(one.going)},
                longest=vacuum.TIMEOUT,
            )


def _kept(survey: Survey) -> list[dict[str, str]]:
    """The files that a limit wanted gone and that stay, and why."""
    staying = [one for verdicts in survey.verdicts.values() for one in verdicts if one.overdue and not one.due]
    entries = [kept(one.generation.path, one.reason) for one in staying]
    entries += [kept(one.generation.path, f"{one.reason}, but {survey.spent}") for one in survey.waiting]
    if len(entries) > MOST_KEPT:
        more = len(entries) - MOST_KEPT
        entries = [*entries[:MOST_KEPT], kept("", f"and {counted(more, 'file')} more, for reasons like these")]
    return entries


def _metrics(survey: Survey) -> Iterator[Metric]:
    for root, verdicts in survey.verdicts.items():
        yield Metric("logs.retention_bytes", root.path, sum(one.generation.used for one in verdicts), "B")
        yield Metric("logs.retention_files", root.path, len(verdicts), "")
