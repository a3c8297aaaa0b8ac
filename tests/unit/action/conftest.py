# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One shadow of the collection for all tests of the gate, and a folder of its own for each."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import Site, build


@pytest.fixture(scope="session")
def collections(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shadow"))


@pytest.fixture
def site(collections, tmp_path):
    return Site(folder=tmp_path, collections=collections)
