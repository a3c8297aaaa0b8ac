# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the collection: the subject each serves, and whether it checks, repairs or serves the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["check", "repair", "control"]


@dataclass(frozen=True)
class Entry:
    subject: str
    kind: Kind


MODULES: dict[str, Entry] = {
    "access_log_review": Entry("logs", "check"),
    "discover": Entry("controller", "control"),
    "host_check": Entry("host", "check"),
    "http_check": Entry("web", "check"),
    "journal_verify": Entry("journal", "check"),
    "log_review": Entry("logs", "check"),
    "postgresql_check": Entry("postgresql", "check"),
    "postgresql_index": Entry("postgresql", "repair"),
    "postgresql_login": Entry("postgresql", "repair"),
    "postgresql_reindex": Entry("postgresql", "repair"),
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
