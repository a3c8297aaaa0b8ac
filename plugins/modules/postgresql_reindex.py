#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_reindex
short_description: Rebuild PostgreSQL indexes that are invalid or bloated, and remove what broken rebuilds left
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Looks at every index of the chosen databases and rebuilds those that need it with C(REINDEX CONCURRENTLY), beside
    the running application, one at a time.
  - An index is invalid when its building broke off. What a broken-off rebuild left behind (names that end in C(_ccnew)
    or C(_ccold)) is removed. Bloat is estimated from the statistics of the columns, and measured where the extension
    C(pgstattuple) is installed.
  - Before each build the free disk, the lag of the standbys and the wait for the disks are looked at. After it the
    index has to be valid, and a bloated one has to be smaller, or the step counts as failed.
  - When a build breaks off, what it leaves behind is removed. Nothing is built twice for an estimate that was wrong.
  - Only one run of this module and of M(fleetcare.maintenance.postgresql_index) is at work on a cluster at a time.
  - An index that is being built by somebody else, one of a partitioned table, of an exclusion constraint or of the
    catalog is left alone, and so is one for which a privilege is missing. The reason stands under C(kept).
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  databases:
    description: Globs of the databases to look at. By default all to which anybody may connect.
    type: list
    elements: str
    default: []
  databases_exclude:
    description: Globs of databases that are left out.
    type: list
    elements: str
    default: []
  indexes:
    description: Globs of the indexes to look at, with their schema, such as V(public.orders_*). By default all.
    type: list
    elements: str
    default: []
  indexes_exclude:
    description: Globs of indexes that are left alone.
    type: list
    elements: str
    default: []
  needs:
    description: What is looked for.
    type: list
    elements: str
    choices: [leftover, invalid, bloated]
    default: [leftover, invalid, bloated]
  bloat_percent:
    description: The share of an index that has to be bloat for it to count as bloated, from 1 to 99.
    type: float
    default: 50.0
  bloat_bytes:
    description: Bytes of bloat that an index has to have as well.
    type: int
    default: 104857600
  maximum_size:
    description: Indexes of more bytes than this are left alone.
    type: int
    default: 10737418240
  maximum_indexes:
    description: How many indexes one run may rebuild or remove.
    type: int
    default: 20
  total_seconds:
    description: Seconds after which nothing more is begun, and what is being built is stopped, from 1 to 604800.
    type: float
    default: 7200.0
  lock_timeout:
    description:
      - Seconds that the server may wait for each lock, from 0.1 to 86400. Online work on indexes waits for every
        transaction that is older than itself. Nobody waits for it meanwhile but other changes of the same table.
    type: float
    default: 30.0
  index_seconds:
    description: Seconds that one index may take, from 1 to 604800. The end of the window shortens it.
    type: float
    default: 3600.0
  free_factor:
    description: How many times the size of an index has to be free on disk before it is built, from 1 to 100.
    type: float
    default: 2.0
  free_bytes:
    description:
      - Bytes that are free where the server keeps its data. Give it where this host is not the server's own, as for
        one in a container, for no query tells it.
      - Without it the module looks at the server's folder on this host, once it has made sure that it is the one.
    type: int
  unseen_bytes:
    description: Where nobody knows how much is free, what takes at most so many bytes of disk is done all the same.
    type: int
    default: 268435456
  standby_lag_bytes:
    description:
      - While a standby is further behind than so many bytes, nothing more is built, and after a minute of it what is
        being built is stopped. V(0) turns this off.
    type: int
    default: 1073741824
  io_pressure_percent:
    description:
      - While all work of the server's host waited for its disks for more than this share of the last minute, nothing
        more is built, and after another minute of it what is being built is stopped. V(0) turns this off. It is known
        only where the server is on this host.
    type: float
    default: 50.0
notes:
  - The login has to own the tables, or be a member of C(pg_maintain) (PostgreSQL 17 or newer). To remove what was left
    behind it has to own the table.
seealso:
  - module: fleetcare.maintenance.postgresql_check
  - module: fleetcare.maintenance.postgresql_index
"""

EXAMPLES = r"""
- name: Mend what is broken or bloated, as root over the local socket
  fleetcare.maintenance.postgresql_reindex:

- name: Rebuild the bloated indexes of one database in a container, with 50 GB free there
  fleetcare.maintenance.postgresql_reindex:
    login_host: 127.0.0.1
    login_user: maintenance
    login_password: "{{ postgresql_password }}"
    databases: [shop]
    needs: [bloated]
    bloat_percent: 30
    free_bytes: 50000000000
    total_seconds: 1800
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
  sample: "2 findings: 1 warning, 1 ok"
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
      sample: postgresql.reindex
    item:
      description: What was looked at, the cluster or a database of it.
      returned: always
      type: str
      sample: localhost:5432/shop
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: warning
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "2 indexes need something, 2 served; 120 indexes looked at"
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
  description: The bytes that were given back, for each database.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What was measured.
      returned: always
      type: str
      sample: postgresql.reindex_freed
    item:
      description: Of what it was measured.
      returned: always
      type: str
      sample: localhost:5432/shop
    value:
      description: The number.
      returned: always
      type: float
      sample: 4194304
    unit:
      description: Its unit; empty for a count.
      returned: always
      type: str
      sample: B
plan:
  description: The steps that are needed. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(reindex) or V(drop).
      type: str
      sample: reindex
    target:
      description: The database, and in it the index with its schema.
      type: str
      sample: shop public.orders_owner_idx
    reason:
      description: Why it is needed.
      type: str
      sample: "it is invalid: written by all and read by none"
    reversible:
      description: Whether it can be taken back.
      type: bool
    estimate:
      description: C(freed_bytes), and for a rebuild C(needed_bytes) of disk.
      type: dict
applied:
  description: The steps that were carried out and proved.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was done.
      type: str
    target:
      description: The database and the index.
      type: str
    before:
      description: Whether the index was valid, and its size in C(bytes).
      type: dict
    after:
      description: The same afterwards with C(freed_bytes), or that it is gone.
      type: dict
    seconds:
      description: How long it took.
      type: float
failures:
  description: The steps that failed, or did not bring what they were for, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: The database and the index.
      type: str
    error:
      description: Why it failed, and what stayed behind where something did.
      type: str
    done:
      description: Whether it was carried out all the same. The task is then C(changed).
      type: bool
kept:
  description: The indexes that were left alone, with the reason.
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: The database and the index, or the cluster.
      type: str
    reason:
      description: Why it was left alone.
      type: str
diff:
  description: The indexes before and after; in check mode what is planned for them.
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
      description: One line for each index, empty in check mode.
      type: str
    after:
      description: One line for each index.
      type: str
changed:
  description: Whether something was rebuilt or removed; in check mode, whether something would be.
  returned: always
  type: bool
state_generation:
  description: Names what this run has written down for the next one.
  returned: when something was rebuilt
  type: str
  sample: 9f86d081884c7d65
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex import ARGUMENTS, reindex


def main() -> None:
    run(reindex, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
