#!/usr/bin/python

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_vacuum
short_description: Vacuum and analyze the tables of a PostgreSQL cluster that need it
description:
  - Decides for each table as autovacuum would, by dead and inserted rows, age, storage parameters and TOAST, and serves
    those that are due, the most urgent first. Tables that lack statistics, and partitioned tables, which autovacuum
    never looks at, are analyzed as well.
  - A table that somebody has locked is left alone, and so is everything once the time is spent, the window closes,
    standbys fall behind or the disks cannot keep up.
  - What the server counts is shown before and after. A vacuum that ran and could not clean is reported with what holds
    the rows, and is not tried again as long as that is there.
  - A table whose storage parameters switch autovacuum off is served like any other.
version_added: 0.1.0
author:
  - fleetcare.maintenance contributors (@fleetcare)
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
    details: The plan of check mode is what a real run carries out, unless the tables change in between.
  diff_mode:
    support: full
  idempotent:
    support: full
    details: A second run finds nothing to do until rows have been written again.
options:
  databases_exclude:
    description: Globs of databases that are left out.
    type: list
    elements: str
    default: []
  tables:
    description:
      - Globs of tables to look at, as V(schema.table), such as V(public.*). A TOAST goes by the name of its table.
      - By default all of them, those of the system catalog included.
    type: list
    elements: str
    default: []
  tables_exclude:
    description: Globs of tables that are left alone, as V(schema.table).
    type: list
    elements: str
    default: []
  vacuum:
    description: Whether tables are vacuumed.
    type: bool
    default: true
  analyze:
    description: Whether tables are analyzed.
    type: bool
    default: true
  need_percent:
    description:
      - At how many percent of autovacuum's thresholds a table counts as due, from 30 to 1000. Below 100 the work is
        done in the window before autovacuum would begin it during the day.
    type: int
    default: 100
  jobs:
    description: How many tables are worked on at once, each over a connection of its own, from 1 to 32.
    type: int
    default: 2
  lock_timeout:
    description:
      - Seconds that a statement waits for a lock, from 0.01 to 3600. Tables that somebody else vacuums or has locked
        are left out at once; this is about their indexes.
    type: float
    default: 2.0
  table_timeout:
    description: Seconds that one table may take, from 0.1 to 604800. What takes longer is stopped.
    type: float
    default: 3600.0
  total_time:
    description: Seconds that all tables together may take, up to 604800. V(0) is no limit.
    type: float
    default: 14400.0
  replica_lag_max:
    description:
      - How many bytes a standby may be behind. While one is further behind nothing new is begun, and when it stays so
        for O(patience), what runs is stopped. V(0) turns this off.
    type: int
    default: 1073741824
  io_pressure_max:
    description:
      - In which share of the last minute, in percent, everything on the host may have waited for its disks (C(full
        avg60) of C(/proc/pressure/io)). It acts like O(replica_lag_max). V(0) turns this off.
      - It is looked at where the server runs on this host and the kernel tells it.
    type: float
    default: 50.0
  patience:
    description: Seconds that a standby may be behind, or the disks busy, before running work is stopped, up to 86400.
    type: float
    default: 60.0
  cost_delay:
    description: C(vacuum_cost_delay) in milliseconds, from 0 to 100, which makes the work slower and gentler.
    type: float
    default: 0.0
  buffer_usage_limit:
    description:
      - C(BUFFER_USAGE_LIMIT), how much of the server's cache the work may take, from V(128kB) to V(16GB), or V(0) for
        as much as it likes. Servers before 16 do not know it.
    type: str
  parallel:
    description: C(PARALLEL), how many workers may vacuum the indexes of one table. By default the server decides.
    type: int
  index_cleanup:
    description:
      - C(INDEX_CLEANUP). V(off) gets an old table frozen quickly, and leaves its dead entries in the indexes.
    type: str
    choices: ["auto", "on", "off"]
    default: auto
  truncate:
    description:
      - Whether empty pages at the end of a table are given back to the operating system, for which the table is locked
        exclusively for a moment, on standbys too.
    type: bool
    default: false
  full:
    description:
      - Tables that are rewritten with C(VACUUM FULL) where that wins enough back. Nobody can read them meanwhile.
      - What would be won is asked of the extension C(pgstattuple). Without it no table is rewritten.
    type: list
    elements: dict
    default: []
    suboptions:
      database:
        description: Its database.
        type: str
        required: true
      schema:
        description: Its schema.
        type: str
        default: public
      table:
        description: Its name, as it is, without quotes.
        type: str
        required: true
  full_max_bytes:
    description: The largest table, with its indexes and TOAST, that is rewritten.
    type: int
    default: 1073741824
  full_min_percent:
    description: How many percent of a table have to be unused for it to be rewritten, either way, from 1 to 100.
    type: float
    default: 30.0
  repack:
    description:
      - Tables that are rewritten by C(pg_repack) where that wins enough back. They can be read and written meanwhile,
        but for a moment at the beginning and at the end.
      - The program has to be on the host where the module runs, and the extension of the same version in the database.
        The login has to be a superuser. What stands in the way is said, and the table is left alone.
      - Nobody's session is ended. A table that others hold for longer than O(lock_timeout) is left alone.
      - What an earlier C(pg_repack) has left behind in a database named here, when it was killed or the server went
        down, is removed, for its trigger writes down every change for nobody.
    type: list
    elements: dict
    default: []
    suboptions:
      database:
        description: Its database.
        type: str
        required: true
      schema:
        description: Its schema.
        type: str
        default: public
      table:
        description: Its name, as it is, without quotes.
        type: str
        required: true
  repack_max_bytes:
    description: The largest table, with its indexes and TOAST, that C(pg_repack) rewrites.
    type: int
    default: 10737418240
  free_bytes:
    description:
      - How many bytes are free where the tables of O(full) and O(repack) are, for who knows it better than the module.
        A rewrite takes twice the table with its indexes and TOAST.
      - By default the disks are asked, where the server is on this host.
    type: int
  unseen_bytes:
    description: How many bytes a rewrite may take where nobody knows how many are free.
    type: int
    default: 268435456
notes:
  - Only a table's owner, the database's owner, and since PostgreSQL 17 a member of C(pg_maintain), may vacuum a table.
    Others are named, with the statement that would allow it. Membership in C(pg_monitor) is needed to name what holds
    the rows and to see how far standbys are behind.
  - Only one of these modules works on a server at a time, wherever it runs.
  - The server ends what it does when the module is killed.
  - While it runs, M(fleetcare.maintenance.postgresql_check) with
    O(fleetcare.maintenance.postgresql_check#module:checks) set to V(vacuum_running) says how far it is.
seealso:
  - module: fleetcare.maintenance.postgresql_check
"""

EXAMPLES = r"""
- name: Serve what needs it, as root over the local socket
  fleetcare.maintenance.postgresql_vacuum:

- name: Serve the tables of the shop gently, before autovacuum gets to them
  fleetcare.maintenance.postgresql_vacuum:
    login_host: 127.0.0.1
    login_user: maintenance
    login_password: "{{ postgresql_password }}"
    tables: ["shop.*"]
    need_percent: 50
    jobs: 1
    cost_delay: 2
    total_time: 1800

- name: Rewrite one table where that wins half of it back
  fleetcare.maintenance.postgresql_vacuum:
    tables: [public.events]
    full:
      - database: shop
        table: events
    full_min_percent: 50

- name: Win the space of a large table back while the shop goes on
  fleetcare.maintenance.postgresql_vacuum:
    tables: [public.orders]
    repack:
      - database: shop
        table: orders
    repack_max_bytes: 53687091200
    table_timeout: 7200
"""

RETURN = r"""
status:
  description: The worst status of all findings.
  returned: always
  type: str
  sample: ok
summary:
  description: How many findings there are of each status.
  returned: always
  type: str
  sample: "2 findings: 1 warning, 1 ok"
findings:
  description: One answer for each database where something was to be done, and one for all the others.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Id of the check.
      returned: always
      type: str
      sample: postgresql.vacuum
    item:
      description: The database, or the cluster.
      returned: always
      type: str
      sample: localhost:5432/shop
    status:
      description: One of V(ok), V(skipped), V(info), V(warning), V(unknown), V(critical).
      returned: always
      type: str
      sample: warning
    summary:
      description: The answer in a sentence.
      returned: always
      type: str
      sample: "4 of 120 tables needed vacuum or analyze; 3 done; 1 vacuumed that could not be cleaned"
    evidence:
      description: Up to 20 tables with what was done, or why it was not.
      returned: when there is some
      type: list
      elements: str
    remedy:
      description: What to do about it.
      returned: when there is something to do
      type: str
metrics:
  description: How many tables needed something and how many were served, by database.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "postgresql.vacuum_needed", "item": "localhost:5432/shop", "value": 4, "unit": ""}]
plan:
  description: The steps that are needed, the most urgent first. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description:
        - One of V(vacuum), V(vacuum and analyze), V(analyze), V(vacuum full), V(repack), V(clear up after pg_repack).
      type: str
      sample: vacuum and analyze
    target:
      description: Database and table.
      type: str
      sample: shop public.orders
    reason:
      description: Why it is needed, with the thresholds.
      type: str
      sample: "18000 dead rows, threshold 4050; 18000 rows changed since the last analyze, threshold 2050"
    reversible:
      description: Whether it can be taken back, which a vacuum cannot.
      type: bool
    estimate:
      description:
        - C(size_bytes) of the table and C(index_bytes) as of its last vacuum or analyze, where there was one,
          C(dead_rows) and the C(score) that orders the plan.
      type: dict
applied:
  description: The steps that were carried out and did what they were for.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was done.
      type: str
    target:
      description: Database and table.
      type: str
    before:
      description:
        - What the server counted before, C(rows), C(dead_rows), C(inserted_rows) since the last vacuum,
          C(modified_rows) since the last analyze, C(xid_age) and C(mxid_age), how old its oldest transaction and
          multixact are, and C(bytes), the size of the table without indexes and TOAST. Of V(repack) C(bytes) alone,
          with both.
      type: dict
    after:
      description: The same afterwards.
      type: dict
    seconds:
      description: How long it took.
      type: float
failures:
  description: The steps that failed or did not bring what they were for, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: Database and table.
      type: str
    error:
      description: Why it failed; of a vacuum that could not clean, who holds the rows.
      type: str
    done:
      description:
        - Whether it was carried out all the same, as a vacuum that could not clean. The task is then C(changed).
      type: bool
kept:
  description: The tables that needed something and were left alone, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{"target": "shop public.orders", "reason": "vacuum was planned, but another session has locked it"}]
diff:
  description: The tables before and after; in check mode what is planned for them.
  returned: always
  type: dict
  contains:
    before_header:
      description: What the first side shows.
      type: str
    after_header:
      description: What the second side shows.
      type: str
    before:
      description: One line for each table, empty in check mode.
      type: str
    after:
      description: One line for each table.
      type: str
state_generation:
  description: Names what this run has written down for the next one.
  returned: unless in check mode or where nothing could be written
  type: str
  sample: 9f86d081884c7d65
state_error:
  description: Why the module could not read or write its memory.
  returned: when it could not
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_run import vacuum


def main() -> None:
    run(vacuum, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
