# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries a host may lack."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import DependencyError, require


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("some_driver")
    module.__version__ = "3.1.9+dfsg"
    module.__file__ = "/usr/lib/python3/dist-packages/some_driver.py"
    monkeypatch.setitem(sys.modules, "some_driver", module)
    return module


def test_what_is_there_is_handed_over():
    assert require("json", package="python3") is json


def test_what_is_missing_is_said_with_interpreter_and_package():
    with pytest.raises(DependencyError) as caught:
        require("no_such_driver", package="python3-driver")
    assert sys.executable in str(caught.value)
    assert "'no_such_driver'" in str(caught.value)
    assert "(python3-driver)" in str(caught.value)


@pytest.mark.parametrize("minimum", ["", "3", "3.1.9", "3.1", "2.10"])
def test_a_version_that_is_new_enough_passes(library, minimum):
    assert require("some_driver", package="p", minimum=minimum) is library


@pytest.mark.parametrize("minimum", ["3.1.10", "3.2", "10"])
def test_a_version_that_is_too_old_is_said_with_its_path(library, minimum):
    with pytest.raises(DependencyError) as caught:
        require("some_driver", package="p", minimum=minimum)
    assert f"is version 3.1.9+dfsg at {library.__file__}, but {minimum} or newer" in str(caught.value)


def test_a_library_without_a_version_is_not_taken_for_new(library):
    del library.__version__
    with pytest.raises(DependencyError, match="version unknown"):
        require("some_driver", package="p", minimum="1")
