# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs of whole paths, for holds and for what is left out: one that can match nothing is refused, not ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.grounds import normal

_BRACKETS = re.compile(r"\[!?\]?[^\]]*\]?")


def parse_glob(glob: str, *, option: str) -> str:
    """A glob as paths are written: no slash twice or at the end, no ``.``. Raises OptionError."""
    if not glob.startswith(("/", "*")) or ".." in glob.split("/") or "\0" in glob:
        raise OptionError(option, glob, "a glob of whole paths without '..', such as /var/log/shop/*")
    if not all(_is_set(brackets) for brackets in _BRACKETS.findall(glob)):
        raise OptionError(option, glob, "a glob in which each '[' has its ']' and each range goes up; [[] is a '['")
    return normal(glob)


def _is_set(brackets: str) -> bool:
    inner = brackets[1:-1].lstrip("!")
    return bool(inner) and brackets.endswith("]") and all(low <= high for low, high in re.findall("(.)-(.)", inner))


def covering(globs: Iterable[str], *paths: str) -> str:
    """The first glob that matches one of the paths or a folder above one; empty for none."""
    places = {place for path in paths for place in _upwards(path)}
    return next((glob for glob in globs if any(fnmatchcase(place, glob) for place in places)), "")


def _upwards(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1))
