# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look at a host's rotation brought back, and the questions' view of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import Folder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import Configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import DryRun
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.schedule import Schedule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.status import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.walk import LargeFiles


@dataclass(frozen=True)
class Journal:
    """The journal where it is kept: its folders, the settings, and size and free bytes of its file system."""

    folders: tuple[Folder, ...]
    settings: dict[str, str]
    persistent: bool
    size: int
    free: int

    @property
    def used(self) -> int:
        return sum(folder.used for folder in self.folders)


@dataclass(frozen=True)
class Space:
    """A file system in bytes, as an ordinary user may take of it."""

    path: str
    size: int
    available: int


@dataclass(frozen=True)
class Generation:
    """A rotated file of a covered log; ``used`` in bytes."""

    path: str
    used: int


@dataclass(frozen=True)
class Covered:
    """What the rules cover at present: each log with its rule, and the plain rotated files behind the newest.

    ``sizes`` are in bytes, ``identities`` the paths by device and inode.
    """

    logs: dict[str, Rule]
    uncompressed: tuple[Generation, ...]
    sizes: dict[str, int]
    identities: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """The parts by name; None is what was not asked for."""

    configuration: Reading[Configuration] = None
    covered: Reading[Covered] = None
    dry_run: Reading[DryRun] = None
    status: Reading[Status] = None
    schedule: Reading[Schedule] = None
    large_files: Reading[LargeFiles] = None
    descriptors: Reading[Descriptors] = None
    journal: Reading[Journal] = None
    space: Reading[Space] = None


@dataclass(frozen=True)
class View(Words):
    """What the questions see."""

    host: Snapshot
    now: datetime


Question = Callable[[View], Iterator[Union[Finding, Metric]]]


def base(path: str) -> str:
    """A configuration file as people call it."""
    return os.path.basename(path)
