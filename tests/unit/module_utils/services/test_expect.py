# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import parse, process_fits, size
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import Process


def refused(**params):
    with pytest.raises(OptionError) as error:
        parse(params)
    return str(error.value)


def test_nothing_asked_is_nothing_expected():
    expected = parse({})
    assert (expected.units, expected.processes, expected.ports, expected.allowed) == ((), (), (), None)
    assert parse({"ports_allowed": []}).allowed == ()


def test_a_unit_is_a_name_or_a_mapping():
    first, second = parse(
        {"units": ["app", {"name": "db*", "state": "inactive", "enabled": False, "memory_max": "1.5G"}]}
    ).units
    assert (first.pattern, first.state, first.enabled, first.memory_max) == ("app.service", "active", None, None)
    assert (second.pattern, second.state, second.enabled) == ("db*.service", "inactive", False)
    assert second.memory_max == 1610612736


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (7, "units[0]"),
        ({}, "units[0]"),
        ({"name": "a b"}, "units[0].name"),
        ({"name": "a", "sate": "active"}, "units[0].sate"),
        ({"name": "a", "state": "up"}, "units[0].state"),
        ({"name": "a", "enabled": "yes"}, "units[0].enabled"),
        ({"name": "a", "memory_max": "much"}, "units[0].memory_max"),
        ({"name": "a", "memory_max": True}, "units[0].memory_max"),
        ({"name": "a", "memory_max": 0}, "units[0].memory_max"),
    ],
)
def test_a_wrong_unit_is_named_with_its_option(unit, said):
    assert f"Option '{said}' is" in refused(units=[unit])


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ({}, "processes[0]"),
        ({"pattern": "("}, "processes[0].pattern"),
        ({"name": "a", "min": -1}, "processes[0].min"),
        ({"name": "a", "min": 0}, "processes[0].min"),
        ({"name": "a", "min": 2, "max": 1}, "processes[0].max"),
    ],
)
def test_a_wrong_process_is_named_with_its_option(process, said):
    assert f"Option '{said}' is" in refused(processes=[process])


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ({"port": 0}, "ports[0].port"),
        ({"port": 65536}, "ports[0].port"),
        ({"port": 80, "address": "localhost"}, "ports[0].address"),
        ({"port": 80, "state": "closed", "process": "nginx"}, "ports[0]"),
    ],
)
def test_a_wrong_port_is_named_with_its_option(port, said):
    assert f"Option '{said}' is" in refused(ports=[port])


@pytest.mark.parametrize("entry", ["", "0", "ssh", "70000", "20-10", "22/sctp", "-1", "1-70000"])
def test_a_wrong_allowed_port_is_named(entry):
    assert "Option 'ports_allowed[0]' is" in refused(ports_allowed=[entry])


def listener(port, protocol="tcp", address="0.0.0.0"):
    return Listener(protocol, address, port, inode=port, uid=0)


def test_allowed_ports_cover_their_range_and_protocol():
    plain, ranged = parse({"ports_allowed": ["22", "8000-8010/tcp"]}).allowed
    assert plain.covers(listener(22))
    assert plain.covers(listener(22, "udp"))
    assert not plain.covers(listener(220))
    assert ranged.covers(listener(8010))
    assert not ranged.covers(listener(8010, "udp"))
    assert not ranged.covers(listener(8011))


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_a_port_covers_itself_alone(wanted, there):
    (port,) = parse({"ports": [{"port": wanted}]}).ports
    assert port.covers(listener(there)) is (wanted == there)


def test_processes_of_one_name_are_told_apart():
    entries = [{"name": "node", "pattern": "api"}, {"name": "node", "pattern": "mail"}, {"name": "node"}]
    wanted = parse({"processes": [*entries, {"name": "node", "user": "www-data"}]}).processes
    assert [one.label for one in wanted] == ["node api", "node mail", "node", "node (2)"]


def test_a_process_fits_by_name_pattern_and_user():
    process = Process(7, 1, "a-very-long-nam", "/opt/a-very-long-name --serve", "S", 0)
    fits = [
        ({"name": "a-very-long-name"}, True),
        ({"name": "a-very"}, False),
        ({"pattern": "--serve$"}, True),
        ({"pattern": "^serve"}, False),
        ({"pattern": "serve", "user": "root"}, True),
        ({"pattern": "serve", "user": "0"}, True),
        ({"pattern": "serve", "user": "www-data"}, False),
    ]
    assert [parse({"processes": [raw]}).processes[0].fits(process) for raw, _right in fits] == [
        right for _raw, right in fits
    ]


def test_owners_fit_by_name_or_glob():
    assert process_fits("postgres", ("postgres",))
    assert process_fits("nginx*", ("systemd", "nginx-debug"))
    assert not process_fits("post", ("postgres",))


@pytest.mark.parametrize(("raw", "amount"), [(1024, 1024), ("512M", 2**29), ("1 KiB", 1024), ("2g", 2**31), ("7B", 7)])
def test_sizes(raw, amount):
    assert size(raw, option="o") == amount
