# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose units hang, answer and are restarted in memory, and one run of service_recover on it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import recover
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.act import World
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import (
    parse_show,
)

START = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
GOOD, BAD, BLIND = Outcome("good", "yes"), Outcome("bad", "no answer"), Outcome("blind", "no name server")
FIGURES = {
    "failures": 3,
    "interval_seconds": 2.0,
    "timeout_seconds": 5.0,
    "restarts_per_day": 3,
    "cooldown_seconds": 600,
    "verify_seconds": 10.0,
    "verify_successes": 2,
    "evidence_lines": 5,
}


class Frozen(Clock):
    """Time moves only when somebody waits."""

    def __init__(self):
        self.waited = 0.0

    def now(self):
        return START + timedelta(seconds=self.waited)

    def monotonic(self):
        return 100000.0 + self.waited

    def sleep(self, seconds):
        self.waited += seconds


def shown(name, *, active="active", sub="running", load="loaded", since=0, can_reload="yes", restarts=0):
    text = f"""Id={name}
Names={name}
LoadState={load}
ActiveState={active}
SubState={sub}
NRestarts={restarts}
MainPID=7
CanReload={can_reload}
ActiveEnterTimestampMonotonic={since * 1000000}
TimeoutStartUSec=1min 30s
TimeoutStopUSec=20s
"""
    return parse_show(text)[0]


class Fake(World):
    """Units by name; answers by probe label, one after the other, the last for ever; a good restart cures."""

    def __init__(self, *units, answers, cures=True, error=None):
        self.units = {unit.name: unit for unit in units}
        self.answers = {label: list(said) for label, said in answers.items()}
        self.cures, self.error = cures, error
        self.asked, self.done = [], []

    def show(self, names):
        return [self.units[name] for name in names if name in self.units]

    def ask(self, probe, *, timeout):
        self.asked.append(probe.label)
        said = self.answers[probe.label]
        return said.pop(0) if len(said) > 1 else said[0]

    def act(self, verb, unit, *, timeout):
        if self.error:
            raise self.error
        self.done.append((verb, unit))
        if self.cures:
            self.answers = {label: [GOOD] for label in self.answers}

    def evidence(self, unit, *, lines, said):
        return [f"probe: {said}", f"state: {unit.state()}"]


APP, DB = "tcp 127.0.0.1:80", "tcp 127.0.0.1:5432"


def app(*depends_on, **more):
    return {"name": "app", "probe": {"port": 80}, "depends_on": list(depends_on), **more}


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Run the module's work as root would, on a clock that stands still; nothing is started but in the world given."""
    monkeypatch.setattr(recover, "_is_root", lambda: True)

    def run(world, *units, check=False, clock=None, deadline=None, **figures):
        params = {
            "levels": {},
            "state_dir": str(tmp_path / "state"),
            "state_consumer": "default",
            "state_acknowledged": None,
            "deadline": deadline,
            "units": list(units) or [app()],
            **FIGURES,
            **figures,
        }
        return perform(
            lambda context: recover.recover(context, world=world),
            params=params,
            check_mode=check,
            name="fleetcare.maintenance.service_recover",
            catalogue=CATALOGUE,
            repair=True,
            clock=clock or Frozen(),
        )

    run.ledger = Ledger(tmp_path / "state", "service_recover")
    run.directory = tmp_path / "state"
    return run


def status(result, item="app.service"):
    (finding,) = [finding for finding in result["findings"] if finding["item"] == item]
    return finding["status"]


def hanging(**more):
    return Fake(shown("app.service"), answers={APP: [BAD]}, **more)


def refusal(result):
    assert result["plan"] == []
    assert result["changed"] is False
    (kept,) = result["kept"]
    return kept["reason"]
