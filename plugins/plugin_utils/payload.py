# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible packed for a module, kept from run to run.

Before Ansible sends a module it parses it and all the code that it imports, a hundred files of which most are its own,
and keeps the archive for the rest of the run. On a single host that is a third of what a daily run costs the
controller. The archive follows from those files alone: while none of them has changed, the next run is given it again.

Nothing here fails a run: what cannot be read, written or trusted is packed by Ansible as ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible import constants, module_utils
from ansible.plugins.loader import module_utils_loader
from ansible.release import __version__ as ansible_version

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    prepare_directory,
    read_own,
    write_atomically,
)

#: As Ansible found it, links and all.
COLLECTION = Path(__file__).absolute().parents[2]
#: Where a run keeps what it packed: ``_find_module_utils`` in ansible/executor/module_common.py.
RUN_FOLDER = "ansiballz_cache"
KEPT_FOLDER = "fleetcare_payloads"
#: Compression, and since ansible-core 2.19 what traces the module: an archive with a debugger inside is not kept.
_PLAIN = re.compile(r"-ZIP_[A-Z0-9]+(-none)?")
_DIGEST = hashlib.sha256().digest_size


class Payload:
    """The archive of one module of this collection: ``borrow`` before it is executed, ``keep`` after it."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.name = f"ansible_collections.fleetcare.maintenance.plugins.modules.{module}"
        self.run_folder = Path(constants.DEFAULT_LOCAL_TMP) / RUN_FOLDER
        self.kept_folder = Path(constants.ANSIBLE_HOME) / KEPT_FOLDER
        #: What the code is that this run has to pack; empty where it has the archive.
        self.code = b""

    def borrow(self) -> None:
        """Give this run the archive of an earlier one, if it has none yet and the code is the same."""
        if any(self._archives(self.run_folder)):
            return
        with contextlib.suppress(MaintenanceError, OSError):
            prepare_directory(self.kept_folder)
            self.code = fingerprint(self.module)
            for path in self._archives(self.kept_folder, suffix=f".{ansible_version}"):
                head, archive = _parted(read_own(path) or b"")
                if head == _head(self.code, archive):
                    self.run_folder.mkdir(mode=0o700, exist_ok=True)
                    write_atomically(
                        self.run_folder / path.name.removesuffix(f".{ansible_version}"), archive, mode=0o600
                    )
                    self.code = b""

    def keep(self) -> None:
        """Keep what this run packed, if the code is still what it was before it was packed."""
        if not self.code:
            return
        with contextlib.suppress(MaintenanceError, OSError):
            if self.code != fingerprint(self.module):
                return
            for path in self._archives(self.run_folder):
                archive = path.read_bytes()
                kept = self.kept_folder / f"{path.name}.{ansible_version}"
                write_atomically(kept, _head(self.code, archive) + archive, mode=0o600)

    def _archives(self, folder: Path, *, suffix: str = "") -> Iterator[Path]:
        for path in folder.glob(f"{self.name}-*{suffix}"):
            if _PLAIN.fullmatch(path.name[len(self.name) : len(path.name) - len(suffix)]):
                yield path


def fingerprint(module: str) -> bytes:
    """A digest over all that an archive follows from: versions, and name, size and time of every file of code."""
    digest = hashlib.sha256(f"{ansible_version} {sys.version} {COLLECTION}".encode())
    plugins = COLLECTION / "plugins"
    folders = [Path(path) for path in module_utils_loader.print_paths().split(os.pathsep) if path]
    files = [COLLECTION / "meta/runtime.yml", plugins / f"modules/{module}.py"]
    for folder in sorted({*folders, Path(module_utils.__path__[0]), plugins / "module_utils"}):
        files += sorted(folder.rglob("*.py"))
    for path in files:
        facts = path.stat()
        digest.update(f"{path} {facts.st_size} {facts.st_mtime_ns} {facts.st_ino}\n".encode())
    return digest.digest()


def _head(code: bytes, archive: bytes) -> bytes:
    return code + hashlib.sha256(archive).digest()


def _parted(kept: bytes) -> tuple[bytes, bytes]:
    return kept[: 2 * _DIGEST], kept[2 * _DIGEST :]
