# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a host's rotation: each part by its own collector, or the reason why there is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import CommandMissing
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading, attempt, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import (
    Descriptors,
    collect_descriptors,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.generations import generations
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import (
    PERSISTENT,
    VOLATILE,
    collect_folders,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import (
    read_configuration as read_journald,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    MAIN,
    Configuration,
    expand,
    read_configuration,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import DryRun, dry_run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.evidence import LOG_FOLDER, settle
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.schedule import collect_schedule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.status import collect_status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.view import (
    Covered,
    Generation,
    Journal,
    Snapshot,
    Space,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.walk import (
    LargeFiles,
    collect_large_files,
)

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".Z")


@dataclass(frozen=True)
class Settings:
    """The module's options: the least size in bytes, what to leave out, and the bounds of the walk."""

    least: int
    exclude: tuple[str, ...]
    seconds: float
    entries: int


def collect(parts: Collection[str], *, settings: Settings, clock: Clock) -> Snapshot:
    """The parts that are asked for."""
    configuration = attempt(read_configuration) if {"configuration", "covered"} & set(parts) else None
    descriptors = lru_cache(maxsize=None)(lambda: attempt(collect_descriptors))
    collectors: Mapping[str, Callable[[], Any]] = {
        "configuration": lambda: configuration,
        "covered": lambda: cover(given(configuration)),
        "dry_run": _dry_run,
        "status": collect_status,
        "schedule": collect_schedule,
        "large_files": lambda: _large_files(settings, clock, descriptors),
        "descriptors": lambda: given(descriptors()),
        "journal": collect_journal,
        "space": lambda: _space(LOG_FOLDER),
    }
    return Snapshot(**{part: attempt(collectors[part]) for part in parts})


def _large_files(settings: Settings, clock: Clock, descriptors: Callable[[], Reading[Descriptors]]) -> LargeFiles:
    """The walk's files that are logs. Who writes to which is asked where that has to tell. Raises OSError."""
    found = collect_large_files(
        least=settings.least,
        exclude=settings.exclude,
        seconds=settings.seconds,
        entries=settings.entries,
        clock=clock,
    )
    if not any(file.doubtful for file in found.files):
        return found
    opened = descriptors()
    sure, undecided = settle(found.files, opened if isinstance(opened, Descriptors) else Descriptors((), whole=False))
    return replace(found, files=tuple(sure), undecided=undecided)


def _dry_run() -> DryRun:
    if os.geteuid() != 0:
        raise Absent("only root may see all that logrotate would do", remedy="Run the check with become.")
    if not os.path.exists(MAIN):
        raise Absent(f"there is no {MAIN}", remedy="Install logrotate, or say what rotates the logs of this host.")
    try:
        return dry_run(MAIN)
    except CommandMissing:
        raise Absent("logrotate is not installed", remedy="Install logrotate.") from None


def cover(configuration: Configuration) -> Covered:
    """Which logs the rules cover now, how large they are, and what their rotated files take that are not compressed."""
    logs: dict[str, Rule] = {}
    for rule in configuration.rules:
        for pattern in rule.patterns:
            for path in expand(pattern):
                logs.setdefault(path, rule)
    present = {path: facts for path in logs for facts in [_regular(path)] if facts}
    found: list[Generation] = []
    for folder in sorted({_folder_of_old(path, rule) for path, rule in logs.items()}):
        found += _uncompressed(
            folder, {os.path.basename(path) for path, rule in logs.items() if _folder_of_old(path, rule) == folder}
        )
    return Covered(
        logs,
        tuple(found),
        sizes={path: facts.st_size for path, facts in present.items()},
        identities={(facts.st_dev, facts.st_ino): path for path, facts in present.items()},
    )


def _regular(path: str) -> os.stat_result | None:
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


def _folder_of_old(path: str, rule: Rule) -> str:
    folder = os.path.dirname(path)
    return os.path.normpath(os.path.join(folder, rule.settings["olddir"])) if "olddir" in rule.settings else folder


def _uncompressed(folder: str, logs: set[str]) -> list[Generation]:
    """The plain rotated files of some logs in a folder, without the newest of each, which delaycompress leaves so."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    by_log: dict[str, list[tuple[float, str, int]]] = {}
    for name, rotated in generations(names).items():
        facts = _regular(f"{folder}/{name}")
        if rotated.log in logs and facts and not name.endswith(_PACKED):
            by_log.setdefault(rotated.log, []).append((facts.st_mtime, name, facts.st_blocks * 512))
    return [
        Generation(f"{folder}/{name}", used)
        for files in by_log.values()
        for _changed, name, used in sorted(files, reverse=True)[1:]
    ]


def collect_journal() -> Journal:
    """The journal on the disk, or in memory where there is none on the disk. Raises Absent, OSError."""
    for root, persistent in ((PERSISTENT, True), (VOLATILE, False)):
        folders = collect_folders((root,))
        if folders:
            facts = os.statvfs(root)
            size, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
            return Journal(tuple(folders), read_journald(), persistent, size, free)
    raise Absent("this host keeps no systemd journal that this user may see")


def _space(path: str) -> Space:
    facts = os.statvfs(path)
    used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    available = facts.f_bavail * facts.f_frsize
    return Space(path, used + available, available)
