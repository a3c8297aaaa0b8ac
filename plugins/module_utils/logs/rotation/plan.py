# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``log_rotate`` would do and why; the file system and logrotate are asked by functions that are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    Configuration,
    expand,
    overlap,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import DryRun
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rule import MARK, Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.trial import objections

ROTATE_SECONDS = 600.0
#: A copy is not begun when less than this would be left free.
LEAST_FREE = 64 * 1024**2


@dataclass(frozen=True)
class Log:
    """A live log before its rotation: identity, size in bytes, and what is free on its file system."""

    path: str
    device: int
    inode: int
    size: int
    free: int


@dataclass(frozen=True)
class Present:
    """A rule's file as it is now."""

    text: str
    ours: bool


@dataclass
class Decision:
    """What becomes of one rule: a step, a refusal, or neither; and of its logs."""

    name: str
    path: str
    write: Step | None = None
    refusal: str = ""
    rotate: Step | None = None
    kept: str = ""
    logs: tuple[Log, ...] = ()
    forced: bool = False
    wanted: Wanted | None = None
    due: tuple[str, ...] = field(default_factory=tuple)


def decide_rule(
    wanted: Wanted,
    present: Present | None,
    configuration: Configuration,
    descriptors: Descriptors,
    tried: Callable[[str, str], DryRun],
    look: Callable[[str], Log | None],
) -> Decision:
    """Whether a rule has to be written or removed, or why it may not be.

    ``tried`` asks logrotate about a text, ``look`` the file system about a log.
    """
    decision = Decision(wanted.name, wanted.path, wanted=wanted)
    if present and not present.ours and not wanted.replace:
        if not wanted.present or present.text != wanted.text:
            decision.refusal = f"{wanted.path} was not written by this module: set replace to take its place"
        return decision
    if not wanted.present:
        if present:
            decision.write = Step("remove", wanted.path, "it is not to be there", reversible=True)
        return decision
    unread = _unread(wanted, configuration) if present else ""
    if present and present.text == wanted.text and not unread:
        return decision
    decision.refusal = (
        _twice(wanted, configuration)
        or _untold(wanted, descriptors, look)
        or "; ".join(objections(tried(wanted.path, wanted.text)))
    )
    if not decision.refusal:
        reason = unread or ("it differs from what is wanted" if present else "there is no such rule")
        logs = sum(len(expand(path)) for path in wanted.paths)
        decision.write = Step("write", wanted.path, reason, reversible=True, estimate={"logs": logs})
    return decision


def _unread(wanted: Wanted, configuration: Configuration) -> str:
    """Why logrotate does not read the file that is there, empty where it does."""
    if wanted.path in configuration.files:
        return ""
    return f"logrotate does not read it: it {configuration.ignored.get(wanted.path, 'is not included')}"


def _twice(wanted: Wanted, configuration: Configuration) -> str:
    for rule in configuration.rules:
        if rule.file == wanted.path:
            continue
        for pattern in rule.patterns:
            for path in wanted.paths:
                common = overlap(path, pattern)
                if common:
                    return (
                        f"{rule.file} line {rule.line} rotates {common} already, and a log may stand in one rule alone"
                    )
    return ""


def _untold(wanted: Wanted, descriptors: Descriptors, look: Callable[[str], Log | None]) -> str:
    if wanted.leaves_file or wanted.tells:
        return ""
    paths = dict.fromkeys(path for pattern in wanted.paths for path in expand(pattern))
    logs = {(log.device, log.inode): log.path for log in map(look, paths) if log}
    remedy = "give tell or copy_truncate, or say with reopens that it notices by itself"
    for path, writers in descriptors.writers(logs).items():
        return f"{writers[0]} holds {path} open and would go on writing to the renamed file: {remedy}"
    if logs and descriptors.hidden:
        return f"which of its logs {descriptors.hidden} hold open may not be seen: {remedy}"
    return ""


def decide_rotation(
    decision: Decision,
    *,
    said: DryRun,
    forced: bool,
    look: Callable[[str], Log | None],
    copies: bool,
    pause: str,
) -> None:
    """Whether logs of a rule are rotated: those due by the rule, or, where it was asked for, all that hold something.

    ``pause`` says why a forced rotation has to wait, empty for none.
    """
    paths = [one.log for one in said.considered if one.fate == "due" or (forced and one.fate == "not due")]
    logs = tuple(log for log in map(look, dict.fromkeys(paths)) if log and (log.size or not forced))
    objected = objections(said)
    if objected:
        decision.kept = f"logrotate has something against its rule: {objected[0]}"
    elif not logs:
        decision.kept = "none of its logs is due" if not forced else "none of its logs holds anything"
    elif forced and pause:
        decision.kept = pause
    else:
        short = _short_of_space(logs) if copies else ""
        if short:
            decision.kept = short
            return
        decision.logs, decision.forced = logs, forced
        decision.rotate = _rotation(decision.path, logs, forced=forced)


def _short_of_space(logs: Sequence[Log]) -> str:
    needed: dict[int, int] = {}
    for log in logs:
        needed[log.device] = needed.get(log.device, 0) + log.size
        if needed[log.device] + LEAST_FREE > log.free:
            return (
                f"copies of its logs take {quantity(needed[log.device], 'B')} and {quantity(log.free, 'B')} is free: "
                "make room first, or let the program reopen its log instead of copytruncate"
            )
    return ""


def _rotation(path: str, logs: Sequence[Log], *, forced: bool) -> Step:
    size = sum(log.size for log in logs)
    named = ", ".join(clean(log.path) for log in logs[:3]) + (", ..." if len(logs) > 3 else "")
    why = "its rotation was asked for" if forced else "due by the rule itself"
    return Step(
        "rotate",
        path,
        f"{counted(len(logs), 'log')} ({quantity(size, 'B')}): {named}: {why}",
        reversible=False,
        estimate={"logs": len(logs), "bytes": size},
        longest=ROTATE_SECONDS,
    )


def is_ours(text: str) -> bool:
    """Whether this module wrote a file."""
    return text.startswith(MARK + "\n")


def by_target(decisions: Sequence[Decision]) -> Mapping[str, Decision]:
    return {decision.path: decision for decision in decisions}
