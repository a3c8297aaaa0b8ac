# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check, on the machine that runs the tests."""

from __future__ import annotations

import json
import math

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import parts_for
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import check as check_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.questions import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Snapshot
from ansible_collections.fleetcare.maintenance.plugins.modules import host_check


class Sleepless(Clock):
    """Counts what would have been slept; time itself goes on."""

    def __init__(self):
        self.slept = []
        self.looked = 0

    def monotonic(self):
        self.looked += 1
        return 1.0 * self.looked

    def sleep(self, seconds):
        self.slept.append(seconds)


DEFAULTS = {
    "sample_seconds": 1.0,
    "mounts_exclude": check_module.MOUNTS_EXCLUDE,
    "mounts_timeout": 5.0,
    "reference_size": 20 * 1024**3,
    "magic": 0.8,
    "free_enough": 0,
    "free_floor": 256 * 1024**2,
    "interfaces_exclude": check_module.INTERFACES_EXCLUDE,
    "units_exclude": [],
    "needrestart": False,
}


@pytest.fixture
def run(tmp_path):
    def ran(*checks, clock=None, **params):
        return perform(
            check_module.check,
            params={
                **DEFAULTS, "levels": {}, "checks": list(checks), "state_dir": str(tmp_path / "state"),
                "state_consumer": "one", "state_acknowledged": None, **params,
            },
            check_mode=False,
            name="host_check",
            catalogue=CATALOGUE,
            repair=False,
            clock=clock or Sleepless(),
        )  # fmt: skip

    return ran


def test_every_check_has_a_question_and_every_question_a_check():
    assert list(QUESTIONS) == list(CATALOGUE)


def test_parts_are_fields_of_the_snapshot():
    fields = set(Snapshot.__dataclass_fields__)
    assert parts_for(QUESTIONS, CATALOGUE) - {"processes_twice"} <= fields


def test_every_check_answers_at_least_once_and_in_json(run):
    for _run in range(2):
        result = run()
        assert {finding["check"] for finding in result["findings"]} == set(CATALOGUE)
        json.dumps(result, allow_nan=False)
        assert not any(math.isnan(metric["value"]) for metric in result["metrics"])


def test_every_check_answers_alone(run):
    for check in CATALOGUE:
        assert {finding["check"] for finding in run(check)["findings"]} == {check}


def test_alarms_say_what_to_do(run):
    for finding in run(levels={"host.memory": {"warning": 0}, "host.uptime": {"warning": 0}})["findings"]:
        if finding["status"] in ("info", "warning", "critical"):
            assert finding["remedy"], finding


@pytest.mark.parametrize(
    ("checks", "slept"),
    [
        (["disk_bytes", "memory", "failed_units"], []),
        (["cpu"], [1.0]),
        (["zombies"], [1.0]),
        (["cpu", "disk_io"], [1.0]),
    ],
)
def test_only_checks_that_need_two_samples_wait_and_they_wait_once(run, checks, slept):
    clock = Sleepless()
    run(*checks, clock=clock)
    assert clock.slept == slept


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sample_seconds", 0.0),
        ("sample_seconds", 61.0),
        ("sample_seconds", math.nan),
        ("mounts_timeout", -1.0),
        ("magic", 0.0),
        ("magic", 1.5),
        ("reference_size", 0),
        ("free_enough", -1),
        ("free_floor", 2**61),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(run, option, value):
    with pytest.raises(OptionError, match=f"Option '{option}' is {value}, but must be "):
        run(**{option: value})


@pytest.mark.parametrize("data", [[], "text", None, {"total": "x", "eth0": 5}])
@pytest.mark.parametrize("moment", ["never", "2026-01-01T00:00:00Z"])
def test_a_file_of_the_last_run_that_makes_no_sense_does_no_harm(run, tmp_path, data, moment):
    generation = run()["state_generation"]
    boot = json.loads((tmp_path / "state" / "host_check.one.json").read_text())["generations"][0]["data"]["boot"][
        "boot"
    ]
    spoilt = {name: {"data": data, "at": moment, "boot": boot} for name in (*_REMEMBERED, "boot")}
    document = {"schema": 1, "generations": [{"id": generation, "data": spoilt}]}
    (tmp_path / "state" / "host_check.one.json").write_text(json.dumps(document))
    assert {finding["check"] for finding in run()["findings"]} == set(CATALOGUE)


_REMEMBERED = ("oom_kill", "interfaces", "speeds", "carrier_changes", "restarts", "timers", "resident")


def test_options_and_documentation_agree():
    documented = yaml.safe_load(host_check.DOCUMENTATION)["options"]
    assert set(documented) == set(check_module.ARGUMENTS)
    for name, option in check_module.ARGUMENTS.items():
        assert documented[name]["type"] == option["type"]
        assert documented[name]["default"] == option["default"]


def test_the_catalogue_says_for_every_check_what_it_means_and_what_to_do():
    assert isinstance(CATALOGUE, Catalogue)
    for check in CATALOGUE.values():
        assert all([check.title, check.meaning, check.remedy, check.source])
