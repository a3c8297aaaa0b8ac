# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Triggers that were switched off, often for a load of data, and never on again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.disabled_triggers",
        "Triggers that are off",
        "Triggers and foreign keys that ALTER TABLE ... DISABLE TRIGGER switched off: what they should keep right is "
        "not kept.",
        "Check the data that came in meanwhile, then ALTER TABLE ... ENABLE TRIGGER.",
        "pg_trigger.tgenabled",
        "",
        Levels(warning=1),
    ),
)
_DISABLED = """
SELECT n.nspname::text AS schema, c.relname::text AS table_name, t.tgname::text AS name, t.tgisinternal AS internal
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgenabled = 'D' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
 ORDER BY 1, 2, 3
"""
_SHOWN = 20


@dataclass(frozen=True)
class Trigger:
    """A trigger that is off; one that is ``internal`` is half of a foreign key."""

    schema: str
    table_name: str
    name: str
    internal: bool

    @property
    def words(self) -> str:
        kind = "foreign key trigger" if self.internal else "trigger"
        return clean(f"{kind} {self.name} of {self.schema}.{self.table_name}")


def collect_disabled_triggers(session: Session, _server: Server, _settings: Settings) -> tuple[Trigger, ...]:
    return tuple(Trigger(**row) for row in session.rows(_DISABLED))


def disabled_triggers(view: View) -> Iterator[Answer]:
    for database, triggers in view.in_databases("disabled_triggers"):
        yield from view.measure(
            "postgresql.disabled_triggers",
            view.item(database),
            len(triggers),
            "triggers that are off",
            evidence=[trigger.words for trigger in triggers[:_SHOWN]],
        )
    yield from view.absences("postgresql.disabled_triggers", "disabled_triggers")


TOPIC = Topic(
    checks=CHECKS,
    questions={"postgresql.disabled_triggers": (disabled_triggers, ("disabled_triggers",))},
    database={"disabled_triggers": collect_disabled_triggers},
)
