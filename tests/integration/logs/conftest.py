# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for the tests of rotation and retention, which share them and set them right before each test; MySQL's server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.fleetcare.maintenance.tests.images.build import ImageError
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.logs.hosts import HOLDER


@pytest.fixture(scope="session")
def rotating_pair(start_hosts: Callable[..., Fleet]) -> Fleet:
    """Two hosts, ``bookworm`` and ``trixie``, with a program that holds files open."""
    fleet = start_hosts({"bookworm": "debian12", "trixie": "debian13"})
    for host in fleet.values():
        host.write("/opt/holder.py", HOLDER)
    return fleet


@pytest.fixture(scope="session")
def rotating_controller(rotating_pair: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    """A controller whose inventory is the two hosts."""
    return make_controller(rotating_pair)


@pytest.fixture(scope="session")
def mysql_fleet(start_hosts: Callable[..., Fleet]) -> Fleet:
    """One host, ``mysql``, with a MySQL server; leave the server as you found it.

    Debian has MySQL in sid alone, which breaks now and then: where its image cannot be made, these tests and no others
    are skipped.
    """
    try:
        return start_hosts({"mysql": "mysql9"})
    except ImageError as error:
        pytest.skip(f"NOTHING IS TESTED ON MYSQL: {error}")


@pytest.fixture(scope="session")
def mysql_controller(mysql_fleet: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    """A controller whose inventory is the host of the MySQL server."""
    return make_controller(mysql_fleet)
