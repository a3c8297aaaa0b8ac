# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that a host may lack: one clear sentence instead of a traceback."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError


class DependencyError(MaintenanceError):
    """A library is missing or too old: names it, what was found and where, and how to install it."""


def require(name: str, *, package: str, minimum: str = "") -> ModuleType:
    """Import a library or raise DependencyError.

    ``package`` is the distribution's package (``python3-psycopg``), ``minimum`` a dotted version or empty.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"The Python library '{name}' is not there for {sys.executable} ({error}).",
            remedy=f"Install it with the package manager ({package}) or run fleetcare.maintenance.bootstrap.",
        ) from error
    found = str(getattr(module, "__version__", ""))
    if minimum and (not found or _parts(found) < _parts(minimum)):
        raise DependencyError(
            f"The Python library '{name}' is version {found or 'unknown'} at {getattr(module, '__file__', '?')}, "
            f"but {minimum} or newer is needed.",
            remedy=f"Update it with the package manager ({package}).",
        )
    return module


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:4])
