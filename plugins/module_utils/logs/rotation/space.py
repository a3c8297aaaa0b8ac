# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of the space that logs take: pure functions of the view."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import OpenFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.generations import parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import most_use
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.view import Covered, Journal, View

#: So many files and processes are findings of their own; the rest is summed up.
MOST = 20


def large_files(view: View) -> Iterator[Answer]:
    found = given(view.host.large_files)
    # Without logrotate no file is covered, and a large one is as large.
    covered = view.host.covered if isinstance(view.host.covered, Covered) else Covered({}, (), {})
    alone = [file for file in found.files if not _is_covered(file.path, covered)]
    for file in alone[:MOST]:
        note = f"{file.writer} writes to it" if file.writer else ""
        yield from view.measure("logs.large_files", file.path, file.used, "not rotated by any rule", note=note)
    rest = alone[MOST:]
    notes = [found.incomplete] if found.incomplete else []
    if found.unreadable:
        notes.append(f"{counted(found.unreadable, 'folder')} may not be entered")
    if found.undecided:
        files = counted(found.undecided, "large file")
        notes.append(f"{files} may be logs, for who writes to them may not be seen")
    if rest:
        size = quantity(sum(file.used for file in rest), "B")
        said = f"{counted(len(rest), 'more large log')} ({size}) without a rule"
        yield view.state("logs.large_files", "others", "warning", said, evidence=[file.path for file in rest])
    if notes:
        remedy = "Run the check with become, raise walk_seconds and walk_entries, or leave folders out with exclude."
        yield view.state("logs.large_files", "walk", "info", "; ".join(notes), remedy=remedy)
    elif not alone:
        said = f"no large log without a rule among {counted(found.entries, 'entry', 'entries')}"
        yield view.state("logs.large_files", "walk", "ok", said)


def _is_covered(path: str, covered: Covered) -> bool:
    """Whether a rule, or the program itself by dated names, rotates a file or made it by a rotation."""
    if path in covered.logs:
        return True
    folder, _slash, name = path.rpartition("/")
    rotated = parse(name)
    return rotated is not None and (rotated.until is not None or f"{folder}/{rotated.log}" in covered.logs)


def deleted_open(view: View) -> Iterator[Answer]:
    descriptors = given(view.host.descriptors)
    holders: dict[int, dict[tuple[int, int], OpenFile]] = {}
    seen: set[tuple[int, int]] = set()
    for file in descriptors.files:
        # Of several processes that share a file the first answers for it: its space is taken once.
        if file.deleted and file.used and file.key not in seen:
            seen.add(file.key)
            holders.setdefault(file.pid, {})[file.key] = file
    ranked = sorted(holders.items(), key=lambda item: -sum(file.used for file in item[1].values()))
    for pid, files in ranked[:MOST]:
        largest = sorted(files.values(), key=lambda file: -file.used)
        yield from view.measure(
            "logs.deleted_open",
            f"{largest[0].program} ({pid})",
            sum(file.used for file in largest),
            f"{counted(len(largest), 'deleted file')} held open",
            evidence=[f"{file.path}: {quantity(file.used, 'B')}, descriptor {file.descriptor}" for file in largest],
        )
    if descriptors.hidden:
        said = f"what {descriptors.hidden} hold open may not be seen"
        yield view.state("logs.deleted_open", "others", "skipped", said, remedy="Run the check with become.")
    elif not holders:
        yield view.state("logs.deleted_open", "processes", "ok", "no process holds a deleted file open")


def journal_use(view: View) -> Iterator[Answer]:
    journal = given(view.host.journal)
    share = 100.0 * journal.used / journal.size if journal.size else 0.0
    evidence = [
        f"{folder.path}: {quantity(folder.used, 'B')}, {counted(len(folder.archived), 'archived file')}"
        for folder in journal.folders
    ]
    yield from view.measure(
        "logs.journal_use",
        "journal",
        share,
        "journal's share of its file system",
        evidence=evidence,
        note=f"{quantity(journal.used, 'B')} of {quantity(journal.size, 'B')}",
    )


def journal_limits(view: View) -> Iterator[Answer]:
    journal = given(view.host.journal)
    prefix = "System" if journal.persistent else "Runtime"
    most, configured = most_use(journal.settings, prefix=prefix, size=journal.size)
    source = f"{prefix}MaxUse" if configured else f"{prefix}MaxUse is not set"
    limit = f"the journal may take {quantity(most, 'B')} ({source})"
    status, said = _judge_limits(journal, most, limit)
    evidence = [f"{name}={value}" for name, value in sorted(journal.settings.items())]
    yield view.state("logs.journal_limits", "journal", status, said, evidence=evidence)


def _judge_limits(journal: Journal, most: int, limit: str) -> tuple[Status, str]:
    if not journal.persistent:
        return "info", f"the journal is in memory and lost with every boot; {limit}"
    if journal.size and most * 2 >= journal.size:
        return "warning", f"{limit}, which is half of its file system or more"
    # What is being written is not cut off, so a little above the limit is how journald works.
    active = sum(folder.active for folder in journal.folders)
    if journal.used > most + active:
        return "warning", f"{limit} and takes {quantity(journal.used, 'B')}"
    return "ok", f"{limit} and takes {quantity(journal.used, 'B')}"


def partition_free(view: View) -> Iterator[Answer]:
    space = given(view.host.space)
    share = 100.0 * space.available / space.size if space.size else 0.0
    note = f"{quantity(space.available, 'B')} of {quantity(space.size, 'B')}"
    yield from view.measure("logs.partition_free", space.path, share, "free for logs", note=note)
