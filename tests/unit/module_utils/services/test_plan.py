# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import plan
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import PortProbe, UnitProbe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import Target
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.services.conftest import (
    BAD,
    BLIND,
    GOOD,
    START,
    shown,
)

OUTCOMES = st.sampled_from([GOOD, BAD, BLIND])


@given(
    heard=st.lists(OUTCOMES, min_size=1, max_size=5),
    dependency=OUTCOMES,
    hours=st.lists(st.floats(-48, 48), max_size=6),
    left=st.floats(0, 250),
    root=st.booleans(),
    uncounted=st.sampled_from(["", "broken"]),
    active=st.sampled_from(["active", "failed", "inactive", "activating"]),
)
def test_a_step_is_planned_only_when_all_of_it_is_right(heard, dependency, hours, left, root, uncounted, active):
    own, other = PortProbe("127.0.0.1", 80), UnitProbe("db.service")
    target = Target("app.service", own, (other,), "restart", 3, 2, 5, 3, 600, 10, 2)
    deeds = [START + timedelta(hours=hour) for hour in hours]
    situation = plan.Situation(
        units={"app.service": shown("app.service", active=active)},
        heard={own: heard, other: [dependency]},
        deeds={"app.service": deeds},
        now=START,
        monotonic=100000.0,
        left=left,
        root=root,
        uncounted=uncounted,
    )
    (decision,) = plan.decide([target], situation)
    recent = [at for at in deeds if timedelta(hours=-24) < at - START <= timedelta(hours=24)]
    right = (
        heard[-1] is BAD
        and heard.count(BAD) >= 3
        and dependency is GOOD
        and root
        and not uncounted
        and active != "activating"
        and len(recent) < 3
        and all(START - at >= timedelta(seconds=600) for at in recent)
        and left >= 120 + 10
    )
    assert (decision.step is not None) is right
    assert not (decision.step and decision.refusal)


@given(
    proofs=st.lists(st.integers(1, 1800), min_size=1, max_size=5),
    left=st.floats(0, 5000),
    down=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_all_that_is_planned_fits_into_the_time_that_is_left(proofs, left, down):
    targets = [
        Target(f"app{at}.service", PortProbe("127.0.0.1", 80 + at), (), "restart", 1, 2, 5, 3, 600, proof, 2)
        for at, proof in enumerate(proofs)
    ]
    situation = plan.Situation(
        units={target.unit: shown(target.unit) for target in targets},
        heard={target.probe: [BAD if bad else GOOD] for target, bad in zip(targets, down)},
        deeds={},
        now=START,
        monotonic=100000.0,
        left=left,
        root=True,
    )
    spent = 0.0
    for target, decision, bad in zip(targets, plan.decide(targets, situation), down):
        needed = 120.0 + target.verify_seconds
        assert (decision.step is not None) is (bad and spent + needed <= left)
        if decision.step:
            assert decision.step.longest == needed
            spent += needed
