# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module is wired through the gate, and documented as far as the contracts go."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES, SUBJECTS
from ansible_collections.fleetcare.maintenance.tests.contract import tree

ATTRIBUTES = ("check_mode", "diff_mode", "idempotent", "platform")
CHECK_KEYS = ("status", "summary", "findings", "metrics")
REPAIR_KEYS = (*CHECK_KEYS, "plan", "applied", "failures", "kept", "diff")
GATE = {"action_plugin": "fleetcare.maintenance.gate"}
SUPPORT = ("full", "partial", "none", "N/A")
REGISTRY = "plugins/plugin_utils/registry.py"

modules = pytest.mark.parametrize("module", tree.modules())


def has_own_action(module: str) -> bool:
    """An action plugin of the module's name takes its place on the controller."""
    return f"plugins/action/{module}.py" in tree.files()


@modules
def test_a_module_goes_through_the_gate_unless_it_has_an_action_of_its_own(module: str) -> None:
    routed = tree.document("meta/runtime.yml")["plugin_routing"]["modules"].get(module)
    wanted = None if has_own_action(module) else GATE
    assert routed == wanted, f"plugin_routing.modules.{module} in meta/runtime.yml should be {wanted}"


@modules
def test_a_module_is_in_the_action_group(module: str) -> None:
    grouped = module in tree.document("meta/runtime.yml")["action_groups"]["maintenance"]
    assert grouped, f"name {module} in action_groups.maintenance of meta/runtime.yml"


def test_nothing_is_routed_or_grouped_that_does_not_exist() -> None:
    runtime = tree.document("meta/runtime.yml")
    named = {*runtime["plugin_routing"]["modules"], *runtime["action_groups"]["maintenance"], *MODULES}
    assert sorted(named - set(tree.modules())) == []


@modules
def test_a_module_is_registered_with_a_subject_and_the_right_kind(module: str) -> None:
    if has_own_action(module) and module not in MODULES:
        return
    assert module in MODULES, f"name {module} in MODULES of {REGISTRY}, with its subject and kind"
    entry = MODULES[module]
    repairs = {
        keyword.value.value
        for name, call in tree.calls(f"plugins/modules/{module}.py")
        for keyword in call.keywords
        if name == "run" and keyword.arg == "repair" and isinstance(keyword.value, ast.Constant)
    }
    assert (entry.kind == "repair") == (True in repairs)
    assert entry.subject in (*SUBJECTS, "controller"), f"name the subject in SUBJECTS of {REGISTRY}"
    assert (entry.kind == "control") == (entry.subject == "controller")


@modules
@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_module_says_what_can_be_relied_on(module: str, attribute: str) -> None:
    said = tree.module_docs()[module]["doc"]["attributes"][attribute]
    wanted = f"give attributes.{attribute} a 'support' in DOCUMENTATION of plugins/modules/{module}.py"
    assert said.get("support") in SUPPORT, wanted
    assert said["description"]
    if said["support"] == "partial":
        assert said["details"]


@modules
def test_a_module_predicts_in_check_mode(module: str) -> None:
    attributes = tree.module_docs()[module]["doc"]["attributes"]
    kind = MODULES[module].kind if module in MODULES else "control"
    support = {name: attributes[name].get("support") for name in ("check_mode", "diff_mode")}
    assert support["check_mode"] == "full" or kind == "control", "check_mode has to be supported in full"
    assert support["diff_mode"] == "full" or kind != "repair", "a repair shows its plan in diff mode"


@modules
def test_a_module_documents_what_its_kind_returns(module: str) -> None:
    returned = tree.module_docs()[module]["return"]
    kind = MODULES[module].kind if module in MODULES else "control"
    wanted = {"check": CHECK_KEYS, "repair": REPAIR_KEYS, "control": ()}[kind]
    missing = [key for key in wanted if key not in returned]
    assert missing == [], f"RETURN of plugins/modules/{module}.py says nothing of these"
    assert returned


@modules
def test_every_returned_value_has_a_type_a_condition_and_a_description(module: str) -> None:
    bare = [
        path
        for path, value in _returned(tree.module_docs()[module]["return"])
        if not value.get("type") or not value.get("description") or ("." not in path and not value.get("returned"))
    ]
    assert bare == []


def _returned(values: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, value in values.items():
        found.append((prefix + name, value))
        found.extend(_returned(value.get("contains") or {}, f"{prefix}{name}."))
    return found


@modules
def test_a_module_says_since_when_and_by_whom(module: str) -> None:
    said = tree.module_docs()[module]["doc"]
    assert said["version_added"] == "0.1.0"
    assert said["author"]
    assert not said["short_description"].endswith(".")


@modules
def test_every_subject_of_a_module_has_its_page(module: str) -> None:
    subject = MODULES[module].subject if module in MODULES else module
    if subject in tree.roles():
        there = f"docs/{subject}.md" in tree.files()
        assert there, f"write docs/{subject}.md, the page of the subject"


@modules
def test_the_readme_names_every_module(module: str) -> None:
    named = re.search(rf"^\|.*`{module}`", tree.text("README.md"), flags=re.MULTILINE)
    assert named, "name it in the table 'What is looked after' of README.md"


@modules
def test_the_table_of_modules_has_every_module(module: str) -> None:
    table = tree.text("docs/architecture.md").partition("\n## Modules")[2].partition("\n## ")[0]
    assert f"`{module}`" in table, "name it in the table 'Modules' of docs/architecture.md"


@modules
def test_the_release_notes_name_every_module(module: str) -> None:
    shown = tree.text("CHANGELOG.md").replace("\\", "")
    assert f"fleetcare.maintenance.{module} " in shown, "run: antsibull-changelog generate"
