#!/usr/bin/python
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_unblock
short_description: End the PostgreSQL session that keeps others waiting for a lock, where it may be ended
version_added: 0.1.0
author: fleetcare.maintenance contributors (@fleetcare)
description:
  - Looks who waits for whom, and for how long the one at the root of each tree has kept others waiting. Who has done so
    for O(waiting_for) is ended, the one that keeps most sessions waiting first.
  - An active statement is cancelled, with C(pg_cancel_backend). A session that is idle in its transaction has nothing
    to cancel and is left alone, unless O(terminate) is V(true). An autovacuum is cancelled and never terminated.
  - Never ended are sessions of superusers, processes of replication and of the server itself, an autovacuum to prevent
    wraparound, a prepared transaction, the module's own session, and what is excluded. Each is named under C(kept) with
    the reason.
  - Who waits for an advisory lock, or as online work on an index does until older transactions have ended, waits on
    purpose. Nobody is ended for that alone.
  - The signal is sent in a statement that looks once more whether it is the same session with the same transaction, by
    the time at which each began, and still keeps somebody waiting. A process that got the same pid is never hit.
  - Afterwards nobody may wait for the session any more, or the step counts as failed.
  - Nothing of it can be undone. A transaction that is ended is rolled back, and its program has to run it again.
extends_documentation_fragment:
  - fleetcare.maintenance.attributes
  - fleetcare.maintenance.common_options
  - fleetcare.maintenance.postgresql
  - fleetcare.maintenance.repair_options
attributes:
  check_mode:
    support: full
    details: The plan of check mode is what a real run carries out, unless sessions come and go in between.
  diff_mode:
    support: full
  idempotent:
    support: full
    details: A second run finds nothing to do until somebody keeps others waiting again.
options:
  waiting_for:
    description:
      - How many seconds somebody has to have been kept waiting before anything is done, from 1 to 86400. As long as a
        lock is held for less, it is left to end by itself.
    type: float
    default: 300.0
  waiters:
    description: How many sessions have to wait, directly or for one that waits itself, from 1 to 10000.
    type: int
    default: 1
  terminate:
    description:
      - Whether sessions may be ended with C(pg_terminate_backend), which closes the connection of a program.
      - A session that is idle in its transaction is then terminated. One with an active statement is terminated when it
        still keeps others waiting O(patience) seconds after it was cancelled.
    type: bool
    default: false
  patience:
    description: Seconds after a signal until nobody may wait for the session any more, from 0.1 to 3600.
    type: float
    default: 10.0
  max_sessions:
    description: How many sessions one run may end, from 1 to 100.
    type: int
    default: 1
  max_sessions_per_day:
    description:
      - How many sessions of one server may be ended within 24 hours from this host, from 1 to 1000. They are counted
        in the state folder for all controllers together.
    type: int
    default: 10
  applications_exclude:
    description:
      - Regular expressions of application names whose sessions are left alone. By default dumps, whose work would be
        lost, C(pg_repack), which would leave a trigger behind, and the modules of this collection, which have limits
        of their own.
    type: list
    elements: str
    default: ["^pg_dump(all)?$", "^pg_restore$", "^pg_repack$", "^fleetcare\\.maintenance$"]
  users_exclude:
    description: Globs of roles whose sessions are left alone.
    type: list
    elements: str
    default: []
  databases_exclude:
    description: Globs of databases in which sessions are left alone.
    type: list
    elements: str
    default: []
notes:
  - The login needs C(pg_monitor) to see what others do, and C(pg_signal_backend) to end their work. To cancel an
    autovacuum it takes C(pg_signal_autovacuum_worker) (PostgreSQL 18 and newer) or a superuser.
  - PostgreSQL before 14 does not tell since when a session waits, and is left alone.
  - Only one run of this module works on a server at a time, wherever it runs.
  - A signal takes a moment to arrive. A session that ends its statement by itself in this moment may lose the next one.
seealso:
  - module: fleetcare.maintenance.postgresql_check
"""

EXAMPLES = r"""
- name: Cancel a statement for which others have waited for five minutes, as root over the local socket
  fleetcare.maintenance.postgresql_unblock:

- name: End forgotten transactions too that five sessions wait for, but none of the payments
  fleetcare.maintenance.postgresql_unblock:
    login_host: 127.0.0.1
    login_user: maintenance
    login_password: "{{ postgresql_password }}"
    waiting_for: 120
    waiters: 5
    terminate: true
    users_exclude: ["payment*"]
"""

RETURN = r"""
status:
  description: The worst status of all findings, V(ok), V(skipped), V(info), V(warning), V(unknown) or V(critical).
  returned: always
  type: str
  sample: ok
summary:
  description: How many findings there are of which status, worst first.
  returned: always
  type: str
  sample: "1 finding: 1 ok"
findings:
  description: One for the cluster.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Id of the check.
      returned: always
      type: str
      sample: postgresql.unblock
    item:
      description: The cluster.
      returned: always
      type: str
      sample: localhost:5432
    status:
      description: The status of this finding.
      returned: always
      type: str
      sample: ok
    summary:
      description: The finding in a sentence.
      returned: always
      type: str
      sample: "1 session keeps others waiting, 1 ended; at first 3 sessions wait for a lock, the longest for 6 min"
    evidence:
      description: Up to 20 of those at a root, with what they do, who waits for them and what became of them.
      returned: where there is some
      type: list
      elements: str
    remedy:
      description: What to do about it.
      returned: where something is to be done
      type: str
metrics:
  description: How many sessions waited, how many kept others waiting for too long, and how many of these were ended.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "postgresql.unblock_waiting", "item": "localhost:5432", "value": 3, "unit": ""}]
plan:
  description: The steps that are needed, the worst first. A real run carries out exactly these.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: One of V(cancel), V(cancel or terminate), V(terminate).
      type: str
      sample: cancel
    target:
      description: The pid, the user and database, the application, and since when the session is there.
      type: str
      sample: "pid 4711 eve@shop (billing) since 2026-03-01T12:00:00.000Z"
    reason:
      description: What it does, since when, who waits for it and for how long. No text of a statement.
      type: str
      sample: "active, its transaction open for 7 min; 3 sessions wait for it, the longest for 6 min"
    reversible:
      description: Whether it can be taken back, which it cannot.
      type: bool
    estimate:
      description:
        - C(pid), C(backend_start), C(application), C(database), C(user), C(state), C(transaction_seconds), C(waiting),
          C(longest_wait_seconds), and in C(undo) that there is none.
      type: dict
applied:
  description: The steps that were carried out, and for which nobody waits any more.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: The session.
      type: str
    before:
      description: Its C(state), how many were C(waiting) for it, and C(longest_wait_seconds).
      type: dict
    after:
      description:
        - C(ended), which is C(statement) or C(session), its C(state) now, how many are C(waiting) for it, and how many
          of those that were are C(waiting_for_others) now.
      type: dict
    seconds:
      description: How long it took.
      type: float
failures:
  description: The steps that failed, or after which others still waited, with the error.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: What was to be done.
      type: str
    target:
      description: The session.
      type: str
    error:
      description: Why it failed.
      type: str
    done:
      description: Whether the signal was sent all the same. The task is then C(changed).
      type: bool
kept:
  description: Those at a root that were left alone, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{"target": "pid 4711 eve@shop (psql) since 2026-03-01T12:00:00.000Z", "reason": "users_exclude has eve"}]
diff:
  description: The sessions before and after; in check mode what is planned for them.
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
      description: One line for each session, empty in check mode.
      type: str
    after:
      description: One line for each session.
      type: str
changed:
  description: Whether a signal was sent; in check mode, whether one would be.
  returned: always
  type: bool
state_error:
  description: Why nothing could be read from another run.
  returned: when that is so
  type: str
"""

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock import ARGUMENTS, unblock


def main() -> None:
    run(unblock, argument_spec=ARGUMENTS, catalogue=CATALOGUE, repair=True)


if __name__ == "__main__":
    main()
