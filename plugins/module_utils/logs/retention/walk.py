# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking folders that others may write to: by descriptors alone, never through a link, never to another file system.

Source: man 2 openat (O_NOFOLLOW), man 7 path_resolution.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import Mount, parse_mountinfo
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.generations import (
    Rotated,
    generations,
    is_unprintable,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.moments import last_change

HOLD = ".hold"
#: Whoever finds one of these is in the data of PostgreSQL, MariaDB, MySQL or MongoDB.
DATA = frozenset({"PG_VERSION", "aria_log_control", "ibdata1", "mysql.ibd", "WiredTiger"})
MAX_DEPTH = 16
MAX_ENTRIES = 200_000
MAX_SECONDS = 60.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NoFolder(MaintenanceError):
    """A folder of the policy that cannot be walked, and why; ``status`` is what that is worth."""

    def __init__(self, message: str, *, status: Status = "warning") -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Place:
    """A folder by path and identity."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True)
class Found:
    """A rotated file where it lies; ``held`` says which marker holds it, empty for none. Sizes in bytes."""

    place: Place
    name: str
    rotated: Rotated
    device: int
    inode: int
    size: int
    used: int
    links: int
    changed_ns: int
    held: str

    @property
    def path(self) -> str:
        return f"{self.place.path}/{self.name}"

    @property
    def log(self) -> str:
        """The path of the log that it is a generation of."""
        return f"{self.place.path}/{self.rotated.log}"

    @property
    def changed(self) -> datetime:
        return last_change(self.changed_ns)


def markers(found: Found) -> tuple[str, ...]:
    """The names in its folder that hold a file: for itself, and for all generations of its log."""
    return found.name + HOLD, found.rotated.log + HOLD


def hold_over(descriptor: int, path: str) -> str:
    """The ``.hold`` in a folder or in any above it, empty for none; what cannot be looked into counts as held.

    The way up is by descriptors, so it is that of the folder itself, wherever its path leads to by now.
    """
    here = os.dup(descriptor)
    try:
        while True:
            if _may_hold(here):
                return f"{path.rstrip('/')}/{HOLD}"
            above = os.open("..", _FOLDER, dir_fd=here)
            is_top = os.path.samestat(os.fstat(above), os.fstat(here))
            os.close(here)
            here = above
            if is_top:
                return ""
            path = os.path.dirname(path)
    except OSError as error:
        return f"what may lie above {path} ({error.strerror})"
    finally:
        os.close(here)


def hold_of(path: str) -> str:
    """As ``hold_over``, for a folder that may lie behind a link, as the journal may."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return f"what may lie in {path} ({error.strerror})"
    try:
        return hold_over(descriptor, path)
    finally:
        os.close(descriptor)


def _may_hold(folder: int) -> bool:
    try:
        os.stat(HOLD, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


@dataclass
class Walk:
    """What a walk of one root brought back; ``incomplete`` says where it had to stop.

    ``paths`` is all that was met; ``passed`` says what was left alone unseen, and why.
    """

    files: list[Found] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    links: int = 0
    unprintable: int = 0
    unreadable: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    incomplete: str = ""


def open_folder(path: str) -> int:
    """A descriptor of a folder, reached from the root without following a single link. Raises NoFolder."""
    here = os.open("/", _FOLDER)
    reached = ""
    for part in path.strip("/").split("/"):
        reached += "/" + part
        try:
            there = os.open(part, _FOLDER, dir_fd=here)
        except FileNotFoundError:
            raise NoFolder(f"there is no folder {clean(reached)}", status="info") from None
        except PermissionError:
            raise NoFolder(f"{clean(reached)} may not be entered by this user") from None
        except OSError as error:
            why = "a symbolic link or no folder" if _is_link_or_file(part, here) else str(error.strerror)
            raise NoFolder(f"{clean(reached)} is not walked: it is {why}") from None
        finally:
            os.close(here)
        here = there
    return here


def _is_link_or_file(part: str, folder: int) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def place_of(descriptor: int, path: str) -> Place:
    facts = os.fstat(descriptor)
    return Place(path, facts.st_dev, facts.st_ino)


def collect_mounts() -> dict[str, Mount]:
    """The mounts by their points."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="backslashreplace") as stream:
        return {mount.point: mount for mount in parse_mountinfo(stream.read())}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def walk(path: str, *, recurse: bool, others: frozenset[str], called: Collection[str] = (), clock: Clock) -> Walk:
    """All rotated files below a root. ``others`` are folders that another root looks after. Raises NoFolder.

    ``called`` are globs of logs that are not called like one.
    """
    result = Walk()
    mounts = collect_mounts()
    above = max((point for point in mounts if _is_below(path, point)), key=len, default="/")
    if above in mounts and mounts[above].over_network:
        raise NoFolder(
            f"{clean(path)} is on a network file system ({mounts[above].kind}), and which files other hosts have open "
            "there cannot be seen: look after it on the host that has its disk",
            status="skipped",
        )
    descriptor = open_folder(path)
    twins = _identities(others, mounts)
    try:
        facts, held = os.fstat(descriptor), hold_over(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    twin = twins.get((facts.st_dev, facts.st_ino))
    if twin:
        os.close(descriptor)
        raise NoFolder(f"{clean(path)} is not walked: it is {twin} by another name, which has a policy of its own")
    walker = _Walker(
        result,
        root=path,
        device=facts.st_dev,
        recurse=recurse,
        mounts=mounts,
        others=others,
        twins=twins,
        called=called,
        until=clock.monotonic() + MAX_SECONDS,
        clock=clock,
    )
    walker.enter(descriptor, path, depth=MAX_DEPTH, held=held)
    return result


def _identities(folders: Collection[str], mounts: Mapping[str, Mount]) -> dict[tuple[int, int], str]:
    """The folders by device and inode: a bind mount gives one a second path. None on a network is asked."""
    found: dict[tuple[int, int], str] = {}
    for folder in folders:
        above = max((point for point in mounts if _is_below(folder, point)), key=len, default="")
        if above and mounts[above].over_network:
            continue
        with suppress(OSError):
            facts = os.lstat(folder)
            found[facts.st_dev, facts.st_ino] = folder
    return found


@dataclass
class _Walker:
    result: Walk
    root: str
    device: int
    recurse: bool
    #: By their points. What is mounted from elsewhere lies elsewhere, under holds and policies of its own; and a server
    #: that is dead would hold up whoever looks at it.
    mounts: Mapping[str, Mount]
    others: frozenset[str]
    #: The same folders by device and inode.
    twins: Mapping[tuple[int, int], str]
    called: Collection[str]
    until: float
    clock: Clock
    seen: int = 0

    def enter(self, descriptor: int, path: str, *, depth: int, held: str) -> None:
        """Look at one folder, whose descriptor is closed at the end, then at those in it."""
        try:
            place = place_of(descriptor, path)
            entries = self._entries(descriptor, path)
            if DATA.intersection(entries):
                self._data(path)
                return
            if HOLD in entries:
                held = held or f"{path}/{HOLD}"
            self._files(descriptor, place, entries, held=held)
            for name in sorted(entries) if self.recurse else ():
                self._below(descriptor, path, name, depth=depth, held=held)
        finally:
            os.close(descriptor)

    def _data(self, path: str) -> None:
        if path == self.root:
            raise NoFolder(f"{clean(path)} is not walked: it holds the data of a database")
        self.result.passed.append(f"{path} holds the data of a database")

    def _below(self, descriptor: int, path: str, name: str, *, depth: int, held: str) -> None:
        below = f"{path}/{name}"
        # A folder with a policy of its own is for that to look after.
        if below in self.others:
            return
        mount = self.mounts.get(below)
        if mount and mount.over_network:
            self.result.passed.append(f"{below} is another file system ({mount.kind})")
            return
        try:
            facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISLNK(facts.st_mode):
                self.result.links += 1
            if not stat.S_ISDIR(facts.st_mode):
                return
            if facts.st_dev != self.device:
                self.result.passed.append(f"{below} is another file system")
                return
            if mount:
                self.result.passed.append(f"{below} is mounted there from elsewhere")
                return
            twin = self.twins.get((facts.st_dev, facts.st_ino))
            if twin:
                self.result.passed.append(f"{below} is {twin} by another name")
                return
            if not depth:
                self.result.passed.append(f"{below} is below more than {MAX_DEPTH} folders")
                return
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
        except PermissionError:
            self.result.unreadable.append(below)
        except OSError:
            return
        else:
            self.enter(inner, below, depth=depth - 1, held=held)

    def _entries(self, descriptor: int, path: str) -> list[str]:
        if self.result.incomplete:
            return []
        names: list[str] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self.seen += 1
                if self.seen > MAX_ENTRIES or self.clock.monotonic() > self.until:
                    self.result.incomplete = f"the walk stopped in {clean(path)} after {self.seen} entries"
                    # A folder that was seen in part is not judged: its newest generations may be missing.
                    return []
                names.append(entry.name)
                self.result.paths.append(f"{path}/{entry.name}")
        return names

    def _files(self, descriptor: int, place: Place, entries: list[str], *, held: str) -> None:
        present = frozenset(entries)
        self.result.unprintable += sum(1 for name in entries if is_unprintable(name))
        for name, rotated in sorted(generations(present, called=self.called).items()):
            found = _look(descriptor, place, name, rotated, held=held)
            marker = next((one for one in markers(found) if one in present), "") if found else ""
            if found and marker and not held:
                found = replace(found, held=f"{place.path}/{marker}")
            if found and found.device != self.device:
                self.result.passed.append(f"{found.path} is another file system")
            elif found:
                self.result.files.append(found)


def _look(descriptor: int, place: Place, name: str, rotated: Rotated, *, held: str) -> Found | None:
    try:
        facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return Found(
        place=place,
        name=name,
        rotated=rotated,
        device=facts.st_dev,
        inode=facts.st_ino,
        size=facts.st_size,
        used=facts.st_blocks * 512,
        links=facts.st_nlink,
        changed_ns=facts.st_mtime_ns,
        held=held,
    )
