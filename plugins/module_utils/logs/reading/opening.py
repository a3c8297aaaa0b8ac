# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening what may be a log: only a plain file is read, and a link only where nobody else could have made it."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import SEARCH_PATH
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError

FINGERPRINT = 256
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class Unreadable(MaintenanceError):
    """Why a log cannot be read: ``reason`` goes on a sentence that begins with its path. ``gone``: it is not there."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone


def open_folder(path: str) -> int:
    """A descriptor of a folder, walked to step by step. Raises Unreadable.

    A link on the way is followed where it lies in a folder that only root, or this user, can write: what others may
    put there must not lead the reading of logs to another place.
    """
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    followed = 0
    steps = [step for step in os.path.abspath(path).split("/") if step]
    try:
        while steps:
            step = steps.pop(0)
            try:
                deeper = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR) or followed > 20:
                    raise Unreadable(_worded(error), gone=error.errno == errno.ENOENT) from error
                followed += 1
                target = _link(step, folder)
                if target.startswith("/"):
                    os.close(folder)
                    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                steps[:0] = [part for part in target.split("/") if part and part != "."]
                continue
            os.close(folder)
            folder = deeper
    except BaseException:
        os.close(folder)
        raise
    return folder


def _link(step: str, folder: int) -> str:
    """Where a link leads, if it may be followed."""
    try:
        target = os.readlink(step, dir_fd=folder)
    except OSError:
        raise Unreadable("is not in a folder") from None
    holder = os.fstat(folder)
    if holder.st_uid not in (0, os.geteuid()) or holder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unreadable("is reached by a symbolic link that others can change")
    return target


def open_log(name: str, folder: int) -> tuple[int, os.stat_result]:
    """A descriptor of a plain file in ``folder``, never of a link, and its facts. Raises Unreadable."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
    except OSError as error:
        raise Unreadable(_worded(error), gone=error.errno == errno.ENOENT) from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise Unreadable(next((word for test, word in _KINDS if test(facts.st_mode)), "is not a plain file"))
    return descriptor, facts


def _worded(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link, which is not followed"
    if error.errno == errno.ENOENT:
        return "is not there"
    if error.errno == errno.ENXIO:
        return "is a socket"
    if isinstance(error, PermissionError):
        return "may not be read: permission denied"
    return f"cannot be read: {error.strerror}"


def fingerprint(data: bytes) -> str:
    """A short name for some bytes that tells nothing of them."""
    return hashlib.sha256(data).hexdigest()[:32]


#: What a damaged or cut packed file raises.
UNPACKING = (OSError, EOFError, zlib.error, lzma.LZMAError, MaintenanceError)


@contextmanager
def unpacked(descriptor: int, compression: str) -> Iterator[IO[bytes]]:
    """The text of a packed file from its beginning. Raises one of ``UNPACKING`` for what is damaged or unknown.

    Several may read it at the same time, so each opens it anew, whatever its name is by now: a copy of a descriptor
    shares its place in the file with all others.
    """
    stack = ExitStack()
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        packed = stack.enter_context(os.fdopen(own, "rb"))
        yield stack.enter_context(_OPENERS.get(compression, _zstd)(packed))
    finally:
        stack.close()


@contextmanager
def _zstd(packed: IO[bytes]) -> Iterator[IO[bytes]]:
    """Python has no zstd before 3.14; the program of that name has."""
    program = shutil.which("zstd", path=SEARCH_PATH)
    if program is None:
        raise MaintenanceError("The program 'zstd' is not installed on this host.")
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        [program, "-dcq"], stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    stdout = process.stdout
    if stdout is None:
        raise AssertionError("a pipe was asked for")
    try:
        yield stdout
        if stdout.read(1) == b"" and process.wait() != 0:
            raise MaintenanceError("zstd says that it is damaged")
    finally:
        stdout.close()
        process.kill()
        process.wait()


_OPENERS: Mapping[str, Callable[[IO[bytes]], AbstractContextManager[Any]]] = {
    "gzip": lambda packed: gzip.GzipFile(fileobj=packed),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


def unpacked_size(descriptor: int, compression: str) -> int | None:
    """The length of a packed file's text modulo 2^32 where the file tells it (RFC 1952: ISIZE), else None."""
    size = os.fstat(descriptor).st_size
    if compression != "gzip" or size < 18:
        return None
    return int.from_bytes(os.pread(descriptor, 4, size - 4), "little")
