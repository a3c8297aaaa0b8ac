# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a large file a log: where it lies, what it is called, what stands at its end, and who writes to it.

A name alone is not enough: Kafka and LevelDB call their data ``*.log``, a build leaves one in /tmp, and people keep
results of their own called ``*.out``.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import read_process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors, OpenFile

LOG_FOLDER = "/var/log"
#: What is put there is anybody's and nobody's: such a file is a log for as long as a service writes to it.
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108
#: What lies there is the people's own, but for the folders that their services log to (``~/.pm2/logs``).
PEOPLE = ("/home", "/root")
#: What is called so is a log, whoever wrote it.
_LOG = re.compile(r".*\.(?:log|err)(?:\.[0-9]{1,3})?|nohup\.out|.*[-_.]log", re.DOTALL)
#: What is called so may be one.
_PERHAPS = re.compile(r".*\.(?:out|trace|audit)(?:\.[0-9]{1,3})?", re.DOTALL)
_LOGS_FOLDER = re.compile(r"(?:.*[._-])?logs?", re.IGNORECASE | re.DOTALL)
#: In /var/log these are no logs that a rotation would look after: sparse by user id, or journald's own.
_NOT_ROTATED = re.compile(r"lastlog|.*\.journal~?|.*\.db", re.DOTALL)
#: So much of the end of a file is looked at for the end of a line, and of that so much for what no text holds.
_LINE, _GLANCE = 1 << 16, 1 << 12
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")

#: A container's log, as Docker's json-file driver and its rotation name it.
_OF_CONTAINER = re.compile(r"(?P<folder>/.*/containers/(?P<id>[0-9a-f]{64}))/(?P=id)-json\.log(?:\.[0-9]{1,3})?")
_HOST_CONFIG_LIMIT = 1 << 20

Evidence = Literal["none", "enough", "a writer is wanted"]


@dataclass(frozen=True)
class LargeFile:
    """A file with what it takes on the disk, in bytes; ``key`` is its device and inode.

    ``doubtful``: it is a log where a service writes to it. ``writer`` is who does, where that is what tells.
    """

    path: str
    used: int
    key: tuple[int, int] = (0, 0)
    doubtful: bool = False
    writer: str = ""


def by_name(name: str, path: str) -> Evidence:
    """What place and name say."""
    if path.startswith(LOG_FOLDER + "/"):
        return "none" if _NOT_ROTATED.fullmatch(name) else "enough"
    sure = _LOG.fullmatch(name)
    if not sure and not _PERHAPS.fullmatch(name):
        return "none"
    if _is_below(path, SCRATCH):
        return "a writer is wanted"
    in_logs = any(_LOGS_FOLDER.fullmatch(folder) for folder in path.split("/")[1:-1])
    return "enough" if in_logs or (sure and not _is_below(path, PEOPLE)) else "a writer is wanted"


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def ends_as_text(path: str) -> bool:
    """Whether the end of a file is lines of text; also true where it may not be read, and nobody can tell."""
    try:
        # A name may have become that of a link or a FIFO meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return False
        end = os.pread(descriptor, _LINE, max(0, facts.st_size - _LINE))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return b"\n" in end and not _BINARY.search(end[-_GLANCE:])


def rotated_by_docker(path: str) -> bool:
    """Whether Docker itself rotates a container's log: a container keeps the options of the day it was made.

    Source: "JSON File logging driver" of Docker's manual; the engine adds its own log-opts to those of the container.
    """
    found = _OF_CONTAINER.fullmatch(path)
    if not found:
        return False
    try:
        descriptor = os.open(f"{found['folder']}/hostconfig.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            options = json.loads(stream.read(_HOST_CONFIG_LIMIT))["LogConfig"]["Config"]
        return str((options or {}).get("max-size", "-1")) != "-1"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def settle(files: Sequence[LargeFile], descriptors: Descriptors) -> tuple[list[LargeFile], int]:
    """The files that are logs, and how many might be, for all that can be seen of who writes to them."""
    wanted = {file.key for file in files if file.doubtful}
    writers: dict[tuple[int, int], str] = {}
    for opened in descriptors.files:
        if opened.key in wanted and opened.key not in writers and opened.writing and _is_service(opened):
            writers[opened.key] = f"{opened.program} (process {opened.pid})"
    sure = [
        replace(file, writer=writers.get(file.key, "")) for file in files if not file.doubtful or file.key in writers
    ]
    return sure, len(files) - len(sure) if descriptors.hidden else 0


def _is_service(opened: OpenFile) -> bool:
    """Whether a program runs without a terminal: what somebody has started and watches ends with them."""
    try:
        process = read_process(opened.pid)
    except OSError:
        return False
    return process is not None and not process.terminal
