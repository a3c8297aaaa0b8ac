# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a cadence's roles are refused, by name and value, before anything is asked."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import role_variables
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.settings import CADENCES


def refuse(variables, *, cadence="daily", template=lambda value: value):
    role_variables.refuse_wrong(role_variables.read(), variables, template, cadence=cadence)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"web_from": "contoller"}, "Option 'web_from' is 'contoller', but must be host or controller."),
        ({"web_samples": "many"}, "Option 'web_samples' is 'many', but must be a whole number."),
        ({"host_sample_seconds": []}, "Option 'host_sample_seconds' is \\[\\], but must be a number."),
        ({"services_units": {"a": 1}}, "Option 'services_units' is {'a': 1}, but must be a list of values."),
        ({"host_reference_size": "big"}, "Option 'host_reference_size' is 'big', but must be a size such as 512M."),
        ({"report_formats": ["pdf"]}, "Option 'report_formats' is \\['pdf'\\], but must be a list of html or json or"),
        ({"report_digest": "perhaps"}, "Option 'report_digest' is 'perhaps', but must be true or false."),
    ],
)
def test_what_a_role_cannot_take_is_one_sentence(variables, sentence):
    with pytest.raises(OptionError, match=f"^{sentence}"):
        refuse(variables)


def test_a_secret_is_not_shown():
    secret = ["hunter2", {"x": "hunter2"}]
    with pytest.raises(OptionError) as caught:
        role_variables._require("postgresql_login_password", secret, {"type": "int", "no_log": True})
    assert str(caught.value) == "Option 'postgresql_login_password' is '(not shown)', but must be a whole number."


def test_what_stands_inside_a_list_is_named_by_ansible():
    spec = {"type": "list", "elements": "dict", "options": {"port": {"type": "int"}}}
    with pytest.raises(MaintenanceError, match=r"^Option 'web_endpoints' cannot be used: .*port"):
        role_variables._require("web_endpoints", [{"port": "eighty"}], spec)


def test_what_ansible_would_convert_is_taken():
    refuse({"web_samples": "5", "host_checks": "disk_bytes,cpu", "report_digest": "yes", "host_sample_seconds": 1})


def test_a_variable_is_templated_first_and_one_that_hangs_on_what_comes_later_is_left():
    def template(value):
        if value == "{{ later }}":
            raise AnsibleUndefinedVariable("later is undefined")
        return "none at all"

    refuse({"web_samples": "{{ later }}"}, template=template)
    with pytest.raises(OptionError, match="'none at all'"):
        refuse({"web_samples": "{{ samples }}"}, template=template)


def test_a_role_is_asked_in_the_cadences_that_it_has():
    refuse({"web_samples_weekly": "many"})
    with pytest.raises(OptionError, match="web_samples_weekly"):
        refuse({"web_samples_weekly": "many"}, cadence="weekly")


def misspelt(*names):
    return list(role_variables.misspelt(role_variables.read(), names))


def test_a_variable_that_no_role_reads_but_for_a_letter_is_told_and_others_are_left_alone():
    assert misspelt("web_endpoint", "service_units", "host_check") == [
        "No role reads the variable 'web_endpoint'; did you mean 'web_endpoints'?",
        "No role reads the variable 'service_units'; did you mean 'services_units'?",
        "No role reads the variable 'host_check'; did you mean 'host_checks'?",
    ]
    assert misspelt("web_server", "hostname", "postgresql_databases", "postgresql_service_state", "logs_dir") == []
    assert misspelt("web_endpoints", "services_units") == []


@pytest.mark.parametrize("cadence", [cadence for cadence in CADENCES if cadence])
def test_every_default_of_a_role_is_taken(cadence):
    defaults = {}
    for path in role_variables.ROLES.glob("*/defaults/main.yml"):
        defaults |= yaml.safe_load(path.read_text()) or {}
    known = dict(role_variables.options(role_variables.read(), cadence))
    assert "report_formats" in known
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    for name, spec in known.items():
        if name in plain and plain[name] is not None:
            role_variables._require(name, plain[name], spec)
