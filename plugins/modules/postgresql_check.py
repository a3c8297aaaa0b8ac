#!/usr/bin/python

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_check
short_description: Check a PostgreSQL cluster and all its databases
description:
  - Looks at sessions, locks, wraparound, what vacuum and analyze have to do, bloat, indexes, sequences, statements,
    checkpoints, archiving, replication, settings, sizes and rights, over one connection for the cluster and one for
    each database.
  - Counters are compared with the last run, whose figures the module keeps in O(state_dir), so that ratios and the most
    expensive statements are those of the time in between.
  - What a privilege, an extension or a short window of statistics hides is reported as V(skipped), with the statement
    or the setting that would show it, and never as V(ok).
  - It reads, in read-only transactions. No text of a statement is returned with its literals.
version_added: 0.1.0
author:
  - fleetcare.maintenance contributors (@fleetcare)
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.check_options
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
attributes:
  check_mode:
    support: full
    details: The module only looks. In check mode it does not write down its figures for the next run either.
  diff_mode:
    support: N/A
    details: The module changes nothing.
  idempotent:
    support: full
options:
  databases_exclude:
    description: Globs of databases that are left out.
    type: list
    elements: str
    default: []
  queries_exclude:
    description: Regular expressions of statements whose age does not matter, such as that of a report.
    type: list
    elements: str
    default: []
  applications_exclude:
    description: Regular expressions of application names whose sessions may take long, such as V(^pg_dump$).
    type: list
    elements: str
    default: []
  amcheck_size:
    description:
      - How many bytes of b-tree indexes the check C(amcheck) reads in each database, those of the catalogue first, then
        others in an order that differs from day to day.
      - Without the extension amcheck nothing is read.
    type: bytes
    default: 256M
  statements_top:
    description:
      - How many of the statements that took most time since the last run are the most expensive ones, among which the
        check C(new_statements) looks for new ones.
    type: int
    default: 20
  bloat_floor:
    description:
      - What a table or an index has to waste at least to be worth a word in C(table_bloat) and C(index_bloat). What is
        smaller is not looked at.
    type: bytes
    default: 150M
  bloat_tables:
    description:
      - How many tables, and how many indexes, of each database are measured rather than estimated, the worst first. It
        takes the extension pgstattuple. With V(0) none is.
    type: int
    default: 10
  bloat_size:
    description: What is larger than this is not measured, because it would have to be read.
    type: bytes
    default: 2G
  bloat_seconds:
    description: How long the tables, and how long the indexes, of a database may take to be measured.
    type: float
    default: 20.0
  growth_floor:
    description:
      - A database or a table has to become larger or smaller by at least this to be worth a word in C(database_growth),
        C(database_shrinkage), C(table_growth) and C(table_shrinkage).
    type: bytes
    default: 100M
  replicas:
    description:
      - The standbys of this cluster, to ask each of them too whether it uses an index, and whether there
        is exactly one primary. What is not named here is taken from the module's own connection options.
    type: list
    elements: dict
    default: []
    suboptions:
      login_host:
        description: Name or address of the standby, or the folder of its socket.
        type: str
        required: true
      login_port:
        description: Its port.
        type: int
      login_user:
        description: The role to log in as.
        type: str
      login_password:
        description: The role's password.
        type: str
  statistics_days:
    description: How many days of statistics it takes to say that nobody uses an index, from 0 to 3650.
    type: float
    default: 30.0
  index_floor:
    description: Indexes smaller than this are not worth a word when nobody uses them.
    type: bytes
    default: 10M
"""

EXAMPLES = r"""
- name: Ask everything, as root over the local socket
  fleetcare.maintenance.postgresql_check:

- name: Ask about sessions alone, as a login of its own
  fleetcare.maintenance.postgresql_check:
    checks: [connections, "long_*", blocking]
    login_host: 127.0.0.1
    login_user: maintenance
    login_password: "{{ postgresql_password }}"
    ssl_mode: require
    applications_exclude: [^pg_dump$]
    levels:
      postgresql.long_query:
        warning: 600
"""

RETURN = r"""
status:
  description: The worst status of all findings, V(ok), V(skipped), V(info), V(warning), V(unknown) or V(critical).
  returned: always
  type: str
  sample: warning
summary:
  description: How many findings there are of which status, worst first.
  returned: always
  type: str
  sample: "48 findings: 1 warning, 3 skipped, 44 ok"
findings:
  description: What each check says of each item.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Id of the check.
      returned: always
      type: str
      sample: postgresql.connections
    item:
      description: What was looked at, the cluster, a database of it, or something in one.
      returned: always
      type: str
      sample: localhost:5432
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: warning
    summary:
      description: The finding in a sentence, with value, unit and levels.
      returned: always
      type: str
      sample: "connections in use: 86.6 % (warning from 80 %, critical from 90 %); 84 of 97, 3 more kept for superusers"
    value:
      description: The measurement.
      returned: where there is one
      type: float
      sample: 86.6
    unit:
      description: Unit of the measurement; empty for a count.
      returned: where there is a measurement
      type: str
      sample: "%"
    levels:
      description:
        - The levels in force, with C(direction) (V(upper) or V(lower)) and C(for) (runs in a row) where it is above 1.
      returned: where there are levels
      type: dict
      sample: {"warning": 80, "critical": 90, "direction": "upper"}
    evidence:
      description: Up to 20 short items that a person would want to see next.
      returned: where there is some
      type: list
      elements: str
    remedy:
      description: What to do about it.
      returned: where something is to be done
      type: str
metrics:
  description: Every number worth keeping for trends.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What was measured.
      returned: always
      type: str
      sample: postgresql.connections
    item:
      description: Of what it was measured.
      returned: always
      type: str
      sample: localhost:5432
    value:
      description: The number.
      returned: always
      type: float
      sample: 86.6
    unit:
      description: Its unit; empty for a count.
      returned: always
      type: str
      sample: "%"
changed:
  description: Always V(false).
  returned: always
  type: bool
  sample: false
state_generation:
  description: Names what this run has written down for the next one.
  returned: unless in check mode or where nothing could be written
  type: str
  sample: 9f86d081884c7d65
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.check import ARGUMENTS, check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE


def main() -> None:
    run(check, argument_spec=ARGUMENTS, catalogue=CATALOGUE)


if __name__ == "__main__":
    main()
