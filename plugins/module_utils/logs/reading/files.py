# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are logs: globs without surprises, and live logs apart from their older pieces."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.names import is_rotated, rotated_names

#: How many logs one run reads; what is beyond that is to be told.
MOST_FILES = 2000


def require_pattern(pattern: str, *, option: str) -> None:
    """Raises OptionError for a pattern that cannot name a file."""
    if not pattern.startswith("/") or "\0" in pattern or pattern.endswith("/"):
        raise OptionError(option, pattern, "an absolute path of a file, or a glob of such, as in /var/log/nginx/*.log")


def live_logs(patterns: Sequence[str], *, exclude: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Paths of live logs that some globs match, each once, and the globs that match nothing.

    A path without ``*``, ``?`` or ``[`` counts as it stands, even where there is no file. What rotation named, and what
    is packed, belongs to its live log and is no log of its own. ``**`` stands for folders at any depth. Links are not
    followed by ``**`` and are no logs. There may be more of them than anybody should read: ``MOST_FILES``.
    """
    found: dict[str, None] = {}
    empty: list[str] = []
    for pattern in patterns:
        if not glob.has_magic(pattern):
            found[pattern] = None
            continue
        matched = [path for path in _matching(pattern) if not is_rotated(os.path.basename(path)) and _is_file(path)]
        if not matched:
            empty.append(pattern)
        found.update(dict.fromkeys(matched))
    excluded = [re.compile(fnmatch.translate(glob_)) for glob_ in exclude]
    paths = [path for path in found if not any(one.match(path) for one in excluded)]
    return _without_older(paths), empty


def _matching(pattern: str) -> list[str]:
    return sorted(glob.iglob(pattern, recursive="**" in pattern))


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _without_older(paths: Sequence[str]) -> list[str]:
    """Without what is an older piece of another: ``app-20261125.log`` beside ``app.log``."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    older = {
        os.path.join(folder, piece.name)
        for folder, names in folders.items()
        for live in names
        for piece in rotated_names(live, names)
    }
    return [path for path in paths if path not in older]
