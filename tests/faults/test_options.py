# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Junk in every option of every module: taken or told in one sentence, never a traceback, and nothing is changed."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils import basic

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES

FORK = multiprocessing.get_context("fork")
PATIENCE = 120.0
PACKAGE = "ansible_collections.fleetcare.maintenance.plugins.modules"
JUNK = {
    "a text": "junk",
    "a control sequence": "\x1b[31m\x00",
    "a number": -1,
    "a fraction": 1e308,
    "a list": ["junk"],
    "a list of lists": [[{}]],
    "a list of mappings": [{"junk": None}],
    "a mapping": {"junk": {"junk": []}},
    "a mapping of what is no check": {"no.check": {"warning": 1}},
    "megabytes": "x" * 1_000_000,
}


def options(module):
    documented = yaml.safe_load(importlib.import_module(f"{PACKAGE}.{module}").DOCUMENTATION).get("options") or {}
    shared = ["levels", "checks", "state_dir", "state_consumer", "state_acknowledged", "deadline"]
    kinds = {"check": shared[:-1], "repair": [*shared[:1], *shared[2:]], "control": []}
    return sorted({*documented, *kinds[MODULES[module].kind]})


#: What a module cannot do without, so that the option in question is what it complains of.
NEEDED: dict[str, dict[str, object]] = {
    "postgresql_index": {"table": "orders", "columns": [{"name": "id"}]},
    "log_retention": {"policy": [{"class": "application", "paths": ["/srv/no-such-folder"]}]},
    "http_check": {"endpoints": [{"url": "http://127.0.0.1:9/"}]},
    "service_recover": {"units": [{"name": "no-such.service", "probe": {"port": 9}}]},
}


def run(module, arguments, folder):
    """Run a module in check mode the way a host does, in a process of its own that has imported everything."""
    place = {"path": str(folder)} if module == "journal_verify" else {}
    plain = {"state_dir": str(folder / "state"), **NEEDED.get(module, {}), **place, **arguments}
    if MODULES[module].kind == "control":
        del plain["state_dir"]
    main = importlib.import_module(f"{PACKAGE}.{module}").main
    child = FORK.Process(target=_as_module, args=(main, plain, folder))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode is not None, "it never ended"
    said = (folder / "output").read_text()
    (folder / "output").unlink()
    assert "Traceback" not in said, said[-2000:]
    return json.loads(said)


def _as_module(main, arguments, folder):
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": True}}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    main()


@pytest.mark.parametrize(
    ("module", "option"), [(module, option) for module in sorted(MODULES) for option in options(module)]
)
def test_junk_in_an_option_is_taken_or_told_in_one_sentence(module, option, tmp_path):
    before = sorted(Path(tmp_path).rglob("*"))
    for kind, junk in JUNK.items():
        result = run(module, {option: junk}, tmp_path)
        assert not result.get("changed"), kind
        if not result.get("failed"):
            continue
        # As the gate passes it on: Ansible's own sentences hold a value as it was given.
        sentence = clean(result["msg"], limit=2000)
        assert option in sentence, f"{kind}: {sentence[:300]}"
        assert not re.search(r"[\x00-\x1f\x7f]", sentence), kind
    assert sorted(Path(tmp_path).rglob("*")) == before


UNIT = {"name": "no-such.service", "probe": {"port": 9}}


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("service_recover", {"units": 3}, "Option 'units' is 3, but must be a list of mappings."),
        ("service_recover", {"units": [UNIT, 3]}, "Option 'units[1]' is 3, but must be a mapping."),
        ("service_recover", {"units": ["a b"]}, "Option 'units[0]' is 'a b', but must be a mapping."),
        (
            "service_recover",
            {"units": [{**UNIT, "probe": 3}]},
            "Option 'units[0].probe' is 3, but must be a mapping.",
        ),
        (
            "service_recover",
            {"units": [{**UNIT, "depends_on": [{"port": "many"}]}]},
            "Option 'units[0].depends_on[0].port' is 'many', but must be a whole number.",
        ),
        (
            "service_recover",
            {"units": [{**UNIT, "probe": {"command": ["true", {"a": 1}]}}]},
            "Option 'units[0].probe.command[1]' is {'a': 1}, but must be a text.",
        ),
        ("host_check", {"checks": [{"a": 1}]}, "Option 'checks[0]' is {'a': 1}, but must be a text."),
        ("host_check", {"checks": {"a": 1}}, "Option 'checks' is {'a': 1}, but must be a list of texts."),
        ("host_check", {"levels": ["a"]}, "Option 'levels' is ['a'], but must be a mapping."),
        ("service_check", {"ports": [{"port": 9}, "a b"]}, "Option 'ports[1]' is 'a b', but must be a mapping."),
    ],
)
def test_a_wrong_type_is_told_with_its_place_its_value_and_what_would_be_right(module, arguments, sentence, tmp_path):
    result = run(module, arguments, tmp_path)
    assert (result["failed"], result["msg"]) == (True, sentence)
