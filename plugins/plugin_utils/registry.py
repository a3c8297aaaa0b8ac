# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the collection: the subject each serves, and whether it checks, repairs or serves the controller.

And the names that settings may use: subjects and checks.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.check_ids import CHECK_IDS

Kind = Literal["check", "repair", "control"]


@dataclass(frozen=True)
class Entry:
    subject: str
    kind: Kind


MODULES: dict[str, Entry] = {
    "access_log_review": Entry("logs", "check"),
    "auth_log_review": Entry("logs", "check"),
    "discover": Entry("controller", "control"),
    "host_check": Entry("host", "check"),
    "http_check": Entry("web", "check"),
    "journal_verify": Entry("journal", "check"),
    "log_retention": Entry("logs", "repair"),
    "log_review": Entry("logs", "check"),
    "log_rotate": Entry("logs", "repair"),
    "log_rotation_check": Entry("logs", "check"),
    "postgresql_check": Entry("postgresql", "check"),
    "postgresql_index": Entry("postgresql", "repair"),
    "postgresql_login": Entry("postgresql", "repair"),
    "postgresql_reindex": Entry("postgresql", "repair"),
    "postgresql_unblock": Entry("postgresql", "repair"),
    "postgresql_vacuum": Entry("postgresql", "repair"),
    "service_check": Entry("services", "check"),
    "service_recover": Entry("services", "repair"),
}

SUBJECTS: tuple[str, ...] = (
    "host",
    "services",
    "web",
    "certificates",
    "logs",
    "postgresql",
    "mysql",
    "docker",
    "backups",
    "packages",
    "firewall",
    "hardware",
    "node",
    "security",
    "compliance",
    "capacity",
    "journal",
    "maintenance",
)


def require_check(glob: str, *, option: str) -> None:
    """Refuse a glob that no check answers to: a typing error would leave what it was meant for as it is, unseen.

    A bare subject stands for all its checks. Raises OptionError with the nearest id.
    """
    if glob in SUBJECTS or any(fnmatchcase(check, glob) for check in CHECK_IDS):
        return
    near = difflib.get_close_matches(glob, [*CHECK_IDS, *SUBJECTS], n=1)
    hint = f" such as {near[0]}" if near else ""
    raise OptionError(option, glob, f"the id of a check, a glob of ids or a subject{hint}; docs/checks.md has them all")
