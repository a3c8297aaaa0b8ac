# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad options of a review, and how sizes are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import size_of
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.review.conftest import Review


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"files": ["relative.log"]}, "files[0]"),
        ({"files": [{"path": "/a", "form": "x"}]}, "files[0].form"),
        ({"files": [{"path": "/a", "format": "xml"}]}, "files[0].format"),
        ({"files": [7]}, "files[0]"),
        ({"include": ["("]}, "include[0]"),
        ({"first": "often"}, "first"),
        ({"max_bytes": "7"}, "max_bytes"),
        ({"name": "a/b"}, "name"),
        ({"top": 0}, "top"),
        ({"workers": 0}, "workers"),
        ({"workers": 65}, "workers"),
        ({"journal": False, "journal_units": ["ssh"]}, "journal"),
        ({"alive": {"command": ["true"], "log": None, "seconds": 1.0}}, "alive.command"),
        ({"alive": {"command": None, "log": "x", "seconds": 1.0}}, "alive.log"),
        ({"alive": {"command": None, "log": None, "seconds": 0.0}}, "alive.seconds"),
        ({"release": " "}, "release"),
        ({"checks": ["host.memory"]}, "checks"),
    ],
)
def test_bad_options_are_refused_by_name_before_anything_is_read(
    review: Review, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError) as error:
        review(**options)
    assert f"Option '{words}'" in str(error.value)
    assert not (tmp_path / "state").exists()


def test_sizes_are_read() -> None:
    assert [size_of(text, option="x") for text in ("7", "1K", "2 MiB", "3g", "9B")] == [7, 1024, 2 << 20, 3 << 30, 9]
