# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which database the history lives in, and how it is spoken to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

_BUSY_SECONDS = 60


def parse_url(raw: str, *, option: str = "maintenance_store_url") -> URL:
    """An SQLAlchemy URL of SQLite or PostgreSQL. Raises OptionError that does not repeat a password."""
    expected = "an SQLAlchemy URL such as sqlite:////var/lib/history.db or postgresql://user@server/maintenance"
    try:
        url = make_url(raw)
    except (ArgumentError, ValueError):
        raise OptionError(option, clean(raw), expected) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url
    raise OptionError(option, url.render_as_string(hide_password=True), expected)


def make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def connect_to(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that becomes a writer half-way cannot wait for another writer; so every transaction starts as one.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
