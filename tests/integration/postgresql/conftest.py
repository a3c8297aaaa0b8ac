# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL 15, 17 and 18 for the tests of this folder: one server of each version, a database of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible.module_utils.common.text.formatters import human_to_bytes
from psycopg import sql
from psycopg.rows import dict_row

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import COMMON_ARGUMENTS, Work, perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.check import ARGUMENTS, check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host

VERSIONS = (15, 17, 18)
PASSWORD = "tests-only"
_SERIAL = itertools.count(1)


@dataclass
class Cluster:
    """One running server. ``connect`` is the test's own superuser, past everything that is tested."""

    host: Host
    version: int
    port: int = 5432
    fleet: Fleet | None = None

    def connect(self, database: str = "postgres", *, user: str = "tester", **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.host.address,
            port=self.port,
            user=user,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
            row_factory=dict_row,
            **options,
        )

    def login(self, *, user: str = "tester", **options: Any) -> dict[str, Any]:
        """The connection options of a module that is to talk to this server."""
        return {
            "login_host": self.host.address,
            "login_port": self.port,
            "login_user": user,
            "login_password": PASSWORD,
            **options,
        }


@dataclass
class Database:
    """A database of its own for one test, and sessions in it that are closed after the test."""

    cluster: Cluster
    name: str
    state_dir: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Another session, for a test that needs several."""
        return self.stack.enter_context(self.cluster.connect(self.name, **options))

    def execute(self, *statements: str) -> None:
        """Statements one by one, each in a transaction of its own, and counted when this returns."""
        with self.cluster.connect(self.name) as session:
            for statement in statements:
                session.execute(statement)  # type: ignore[arg-type]
                # A session hands in what it has counted once a second, and the rest at its end, when nobody waits.
                session.execute("SELECT pg_stat_force_next_flush()")

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.cluster.connect(self.name) as session:
            return session.execute(query, parameters or None).fetchall()  # type: ignore[arg-type]

    def value(self, query: str, *parameters: Any) -> Any:
        """The one value of a query."""
        return next(iter(self.rows(query, *parameters)[0].values()))

    def perform(
        self,
        work: Work = check,
        *,
        arguments: Mapping[str, Any] | None = None,
        catalogue: Any = CATALOGUE,
        name: str = "postgresql_check",
        repair: bool = False,
        check_mode: bool = False,
        clock: Clock | None = None,
        user: str = "tester",
        **params: Any,
    ) -> dict[str, Any]:
        """Run a module's function as the runner does, against this database alone; the result as Ansible gets it."""
        options = ARGUMENTS if arguments is None else arguments
        defaults = {option: _default(spec) for option, spec in {**COMMON_ARGUMENTS, **options}.items()}
        others = [row["datname"] for row in self.rows("SELECT datname FROM pg_database WHERE datname <> %s", self.name)]
        given = {
            **defaults,
            "checks": [],
            "deadline": None,
            "state_dir": str(self.state_dir),
            **({"databases_exclude": others} if "databases_exclude" in options else {}),
            **self.cluster.login(user=user),
            **params,
        }
        return perform(
            work,
            params=given,
            check_mode=check_mode,
            name=name,
            catalogue=catalogue,
            repair=repair,
            clock=clock or Clock(),
        )

    def findings(self, *checks: str, **params: Any) -> list[dict[str, Any]]:
        """The findings of some checks of ``postgresql_check``."""
        findings: list[dict[str, Any]] = self.perform(checks=list(checks), **params)["findings"]
        return findings

    def finding(self, check: str, **params: Any) -> dict[str, Any]:
        """The one finding of a check that has one."""
        (only,) = self.findings(check, **params)
        return only


def _default(spec: dict[str, Any]) -> Any:
    """An option's default as a module gets it."""
    default = spec.get("default")
    return human_to_bytes(default) if spec.get("type") == "bytes" and isinstance(default, str) else default


@pytest.fixture(scope="session")
def clusters(start_hosts: Callable[..., Fleet]) -> Callable[[int], Cluster]:
    """The server of a major version, started when the first test asks for it."""
    started: dict[int, Cluster] = {}

    def cluster(version: int) -> Cluster:
        if version not in started:
            name = f"postgresql{version}"
            fleet = start_hosts({name: name})
            started[version] = Cluster(fleet[name], version, fleet=fleet)
        return started[version]

    return cluster


@pytest.fixture(params=VERSIONS, ids=lambda version: f"PostgreSQL {version}")
def cluster(request: pytest.FixtureRequest, clusters: Callable[[int], Cluster]) -> Cluster:
    """Each version in turn."""
    return clusters(request.param)


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path) -> Iterator[Database]:
    """A new, empty database on each version in turn, gone after the test with every session in it."""
    name = f'test {next(_SERIAL)} "quoted"'
    with cluster.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    made = Database(cluster, name, tmp_path / "state")
    with made.stack:
        yield made
    with cluster.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
