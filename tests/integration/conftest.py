# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Debian 12 and one Debian 13 host for the tests that share theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller


@pytest.fixture(scope="session")
def debian_pair(start_hosts: Callable[..., Fleet]) -> Fleet:
    """Two plain hosts, ``bookworm`` and ``trixie``; leave them as you found them."""
    return start_hosts({"bookworm": "debian12", "trixie": "debian13"})


@pytest.fixture(scope="session")
def debian_controller(debian_pair: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    """A controller whose inventory is the two plain hosts."""
    return make_controller(debian_pair)
