# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of what the repairs of this subject say: they stand in the catalogue, but no topic answers them."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check

REPAIRS = (
    Check(
        "postgresql.vacuum",
        "Tables that need vacuum or analyze are served",
        "What fleetcare.maintenance.postgresql_vacuum found to do in a database, what it did, and what it "
        "could not do.",
        "The evidence names each table with the reason; where something holds the horizon, end that first.",
        "pg_stat_all_tables before and after",
    ),
    Check(
        "postgresql.reindex",
        "Invalid, left over and bloated indexes are mended",
        "What fleetcare.maintenance.postgresql_reindex found to do in a database, what it did, and what it could not "
        "do. An invalid index is kept up to date by every write and used by no query.",
        "The evidence names each index with the reason; a build that waits for an old transaction ends when that does.",
        "pg_index and sizes before and after",
    ),
    Check(
        "postgresql.index",
        "An index is there, or is not, as it should be",
        "What fleetcare.maintenance.postgresql_index found of one index: equal ones under other names, one of another "
        "definition under its name, and what was done.",
        "The evidence has the definitions; drop or rename by hand what stands in the way.",
        "pg_index and pg_get_indexdef()",
    ),
    Check(
        "postgresql.login",
        "A login for maintenance has what it needs",
        "What fleetcare.maintenance.postgresql_login found missing of a login that looks, and serves tables where the "
        "server can grant that: the login itself, its password, its memberships, its sight of the configuration files.",
        "Run fleetcare.maintenance.postgresql_login as root over the local socket, or as a superuser.",
        "pg_roles, pg_authid",
    ),
    Check(
        "postgresql.unblock",
        "Nobody keeps others waiting for a lock for long",
        "Whom fleetcare.maintenance.postgresql_unblock found to keep others waiting, whom it ended, and whom it left "
        "alone and why: a superuser, replication, an autovacuum to prevent wraparound, a prepared transaction, a dump.",
        "The evidence names each of them with the reason. What comes back is to be mended in its program: shorter "
        "transactions, a commit before it waits for anything else, lock_timeout for changes of tables.",
        "pg_blocking_pids(), pg_stat_activity before and after",
    ),
)
