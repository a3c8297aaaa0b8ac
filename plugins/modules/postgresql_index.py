#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_index
short_description: Make or remove a PostgreSQL index online, with the way back
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Sees to it that an index is there, or is not, by its definition, its name, or both.
  - What counts is what an index does. Where an equal or more capable one is there under another name, nothing is made
    and that one is told. Where the name is taken by an index with another definition, nothing is done.
  - The definition is tried on an empty copy of the table, which is rolled back, so that check mode finds out too what
    the server would refuse.
  - An index is built and dropped with C(CONCURRENTLY), beside the running application, after a look at the free disk,
    the standbys and the old transactions that it would have to wait for. That of a partitioned table is built on one
    partition after the other. When it breaks off, what it leaves behind is removed; of one on a partitioned table that
    was killed, the next run makes what is missing.
  - What is dropped is recorded with the exact statements that bring it back, tablespace and comment included. What
    enforces a constraint, is a replica identity or alone supports a foreign key is left alone.
  - Only one run of this module and of M(fleetcare.maintenance.postgresql_reindex) is at work on a cluster at a time.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
    details: The definition is tried in a transaction that is rolled back.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description: Whether the index is to be there.
    type: str
    choices: [present, absent]
    default: present
  schema:
    description: The schema of the table and its indexes.
    type: str
    default: public
  table:
    description: The table in the database O(login_db), as it is spelled, without quotes.
    type: str
  name:
    description:
      - The name of the index. Without it a new one gets the name that the server would choose, and one that is to go
        is found by its definition.
    type: str
  columns:
    description: The columns or expressions in their order. For an index that is to go, its name alone is enough.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of a column, as it is spelled, without quotes.
        type: str
      expression:
        description: An SQL expression instead of a column, such as V(lower(email\)).
        type: str
      operator_class:
        description: The operator class, with its schema where that is needed, such as V(text_pattern_ops).
        type: str
      collation:
        description: The collation.
        type: str
      descending:
        description: Whether the order is reversed.
        type: bool
        default: false
      nulls:
        description: Where the rows without a value come. By default the server's own order.
        type: str
        choices: [first, last]
  include:
    description: Columns that are kept in the index only to be read from it.
    type: list
    elements: str
    default: []
  unique:
    description: Whether no two rows may have the same values.
    type: bool
    default: false
  nulls_distinct:
    description: Whether rows without a value count as different in a unique index. V(false) takes PostgreSQL 15.
    type: bool
    default: true
  method:
    description: The access method, such as V(btree), V(hash), V(gin), V(gist) or V(brin).
    type: str
    default: btree
  where:
    description: An SQL condition; only rows that meet it are indexed.
    type: str
  force:
    description: Whether an index goes too that alone supports a foreign key.
    type: bool
    default: false
  lock_timeout:
    description:
      - Seconds that the server may wait for each lock, from 0.1 to 86400. Online work on indexes waits for every
        transaction that is older than itself. Nobody waits for it meanwhile but other changes of the same table.
    type: float
    default: 30.0
  index_seconds:
    description: Seconds that the index may take, from 1 to 604800. The end of the window shortens it.
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
  - O(columns[].expression) and O(where) become part of the statement as they are. The server takes one statement only.
  - The login has to own the table, and may make temporary tables.
seealso:
  - module: fleetcare.maintenance.postgresql_check
  - module: fleetcare.maintenance.postgresql_reindex
"""

EXAMPLES = r"""
- name: Support the foreign key of a table with a capital in its name
  fleetcare.maintenance.postgresql_index:
    login_db: shop
    table: Order
    columns:
      - name: userId

- name: Find users by their address whatever its case, and only once each
  fleetcare.maintenance.postgresql_index:
    login_db: shop
    table: User
    name: user_address_key
    columns:
      - expression: lower(email)
    unique: true
    where: deleted_at IS NULL

- name: Remove an index that nobody uses
  fleetcare.maintenance.postgresql_index:
    login_db: shop
    name: orders_old_idx
    state: absent
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
  sample: "1 finding: 1 ok"
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
      sample: postgresql.index
    item:
      description: The index, in its database.
      returned: always
      type: str
      sample: "localhost:5432/shop public.orders_owner_idx"
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: warning
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "public.orders_owner_idx is there: btree (owner), 16 MiB"
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
  description: Always empty.
  returned: always
  type: list
  elements: dict
plan:
  description: The steps that are needed. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(reindex) for an invalid one, or V(drop).
      type: str
      sample: create
    target:
      description: The database, and in it the index with its schema.
      type: str
      sample: shop public.orders_owner_idx
    reason:
      description: Why it is needed.
      type: str
      sample: "no index of public.orders does what (owner) by btree does"
    reversible:
      description: Whether it can be taken back.
      type: bool
    estimate:
      description:
        - C(bytes) and C(needed_bytes) of disk. Of one that is to go C(freed_bytes), and C(undo), the statements that
          bring it back.
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
      description:
        - Whether the index was there, and if so C(valid), C(bytes) and C(definition).
        - Of one that was dropped also C(undo), the statements that bring it back exactly.
      type: dict
    after:
      description: The same afterwards. Of one that was made also C(undo), the statements that remove it again.
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
index:
  description: The index as it is now, or the one that does the same under another name.
  returned: always
  type: dict
  contains:
    schema:
      description: Its schema.
      type: str
    name:
      description: Its name.
      type: str
    valid:
      description: Whether searches use it.
      type: bool
    bytes:
      description: Its size.
      type: int
changed:
  description: Whether the index was made, rebuilt or removed; in check mode, whether something would be.
  returned: always
  type: bool
state_error:
  description: Why nothing could be read from, or written for, another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index import ARGUMENTS, index


def main() -> None:
    run(index, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
