# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where logs may lie, and where whoever rotates or removes files would spoil the system or somebody's data.

Source: Filesystem Hierarchy Standard 3.0.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.generations import is_log

#: Neither these nor anything below them. In the layers of containers a file has another identity than inside, so nobody
#: can see who has it open.
_NEVER = (
    "/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/nix", "/proc",
    "/run/log/journal", "/run/systemd", "/run/udev", "/sbin", "/snap", "/sys", "/usr/bin", "/usr/include", "/usr/lib",
    "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share", "/usr/src", "/var/backups",
    "/var/lib/containerd", "/var/lib/containers/storage/overlay", "/var/lib/docker/overlay2", "/var/log/journal",
    "/var/mail", "/var/spool/cron", "/var/spool/mail",
)  # fmt: skip
#: Folders of everybody, which are no log folders themselves.
_SHARED = ("/", "/home", "/media", "/mnt", "/opt", "/run", "/srv", "/tmp", "/usr", "/var", "/var/tmp", "/var/www")  # noqa: S108
#: Programs and data lie here. What is called like logs is believed to be some.
_MIXED = ("/home", "/root", "/usr", "/var/cache", "/var/lib", "/var/spool")
_LOGS = re.compile(r"(?:.*[._-])?logs?", re.IGNORECASE)


def normal(path: str) -> str:
    """A path without doubled slashes, ``.`` and a slash at the end."""
    plain = os.path.normpath(path)
    return plain[1:] if plain.startswith("//") else plain


def may_hold_logs(folder: str) -> bool:
    """Whether all below a folder may be taken for logs. The path is absolute and normal."""
    return folder not in _SHARED and _is_fit(folder)


def may_be_log(pattern: str) -> bool:
    """Whether what a path or glob names may be taken for logs."""
    folder, _slash, name = pattern.rpartition("/")
    return _is_fit(folder, called_so=is_log(name))


def _is_fit(folder: str, *, called_so: bool = False) -> bool:
    parts = folder.split("/")[1:]
    if any(_below(parts, never) is not None for never in _NEVER):
        return False
    for mixed in _MIXED:
        inner = _below(parts, mixed)
        if inner is not None and not called_so and not any(_LOGS.fullmatch(part) for part in inner):
            return False
    return True


def _below(parts: list[str], region: str) -> list[str] | None:
    """What of a path lies below a region, None for one elsewhere; a part with wildcards is all that it may match."""
    names = region.split("/")[1:]
    if len(parts) < len(names) or not all(fnmatchcase(name, part) for name, part in zip(names, parts)):
        return None
    return parts[len(names) :]
