# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import PortProbe, UnitProbe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import parse, parse_probe

FIGURES = {
    "failures": 3,
    "interval_seconds": 2.0,
    "timeout_seconds": 5.0,
    "restarts_per_day": 3,
    "cooldown_seconds": 600,
    "verify_seconds": 60.0,
    "verify_successes": 2,
    "evidence_lines": 50,
}


def params(*units, **figures):
    return {"units": list(units), **FIGURES, **figures}


def unit(name, *depends_on, port=80, **more):
    return {"name": name, "probe": {"port": port}, "depends_on": list(depends_on), **more}


def refused(given):
    with pytest.raises(OptionError) as error:
        parse(given)
    return str(error.value)


def test_a_unit_takes_the_figures_of_the_module_and_its_own_win():
    first, second = parse(params(unit("a"), unit("b", port=81, failures=5, cooldown_seconds=0)))
    assert (first.unit, first.failures, first.cooldown, first.action) == ("a.service", 3, 600, "restart")
    assert (second.failures, second.cooldown, second.verify_seconds) == (5, 0, 60)


def test_what_others_depend_on_comes_first_and_is_judged_by_its_own_probe():
    app, api, db = (
        unit("app", {"unit": "api"}, port=1),
        unit("api", {"unit": "db"}, {"unit": "cache"}, port=2),
        unit("db", port=3),
    )
    targets = parse(params(app, api, db))
    assert [target.unit for target in targets] == ["db.service", "api.service", "app.service"]
    assert targets[1].depends_on == (PortProbe("127.0.0.1", 3), UnitProbe("cache.service"))


@pytest.mark.parametrize(
    "units", [[unit("a", {"unit": "a"})], [unit("a", {"unit": "b"}, port=1), unit("b", {"port": 1})]]
)
def test_a_circle_is_refused(units):
    assert "in a circle" in refused(params(*units))


def test_a_unit_named_twice_is_refused():
    assert "Option 'units[1].name' is 'a.service'" in refused(params(unit("a"), unit("a.service", port=81)))


@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.parametrize("value", [-1, 10**6])
def test_a_figure_out_of_its_range_is_named(name, value):
    assert f"Option '{name}' is {value}" in refused(params(unit("a"), **{name: value}))


def test_a_figure_of_a_unit_is_named_with_the_unit():
    assert "Option 'units[0].failures' is 0" in refused(params(unit("a", failures=0)))


def test_a_proof_that_can_never_succeed_is_refused():
    said = refused(params(unit("a"), verify_seconds=5, verify_successes=4))
    assert "Option 'units[0].verify_seconds' is 5" in said
    assert "at least 6" in said


@pytest.mark.parametrize(
    ("probe", "option"),
    [
        ({}, "p"),
        ({"url": "http://h/", "port": 1}, "p"),
        ({"url": "ftp://h/"}, "p.url"),
        ({"url": "http:///x"}, "p.url"),
        ({"url": "http://h:99999/"}, "p.url"),
        ({"url": "http://h/a b"}, "p.url"),
        ({"url": "http://h/\r\nX: y"}, "p.url"),
        ({"url": "http://user:pw@h/"}, "p.url"),
        ({"url": "http://h/", "statuses": ["2xx"]}, "p.statuses"),
        ({"url": "http://h/", "statuses": ["399-200"]}, "p.statuses"),
        ({"port": 0}, "p.port"),
        ({"port": 80, "host": "a b"}, "p.host"),
        ({"port": 80, "host": "-x"}, "p.host"),
        ({"command": []}, "p.command"),
        ({"process": "("}, "p.process"),
        ({"process": ""}, "p.process"),
        ({"unit": "a/b"}, "p.unit"),
    ],
)
def test_a_wrong_probe_is_named_with_its_option(probe, option):
    with pytest.raises(OptionError) as error:
        parse_probe(probe, option="p")
    assert f"Option '{option}' is" in str(error.value)


def test_an_address_in_a_message_has_lost_its_query():
    with pytest.raises(OptionError) as error:
        parse_probe({"url": "http://h/ x?token=hunter2"}, option="p")
    assert "hunter2" not in str(error.value)
