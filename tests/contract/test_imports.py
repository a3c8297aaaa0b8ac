# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports go down only, and what runs on a managed host needs nothing that is not there."""

from __future__ import annotations

import ast
import sys

import pytest

from ansible_collections.fleetcare.maintenance.tests.contract import tree

OWN = f"{tree.PACKAGE}.plugins."
CORE = "module_utils.core"
#: What the controller may import beside the standard library and ansible: the packages of requirements.txt.
CONTROLLER_LIBRARIES = ("sqlalchemy", "dateutil", "apprise", "psycopg", "jinja2", "markupsafe", "yaml", "cryptography")
#: What a managed host may have to have; only the client of the technology asks for it, and says what is missing.
DRIVERS = ("psycopg", "psycopg2", "pymysql", "docker", "cryptography")
#: The journal's chain is verified where the journal is, which need not be the controller.
CONTROLLER_SUBJECTS = ("module_utils.journal",)

LAYERS = {
    "plugins/doc_fragments/": (),
    "plugins/plugin_utils/": ("plugin_utils", CORE, *CONTROLLER_SUBJECTS),
    "plugins/action/": ("plugin_utils", CORE, *CONTROLLER_SUBJECTS),
    "plugins/callback/": ("plugin_utils", CORE),
    "plugins/filter/": ("plugin_utils", CORE),
}


def allowed_rooms(name: str) -> tuple[str, ...]:
    """The rooms below ``plugins`` that a file may import from."""
    parts = name.split("/")
    if parts[1] == "module_utils":
        return (CORE,) if parts[2] == "core" else (CORE, f"module_utils.{parts[2]}")
    if parts[1] == "modules":
        return ("module_utils",)
    return LAYERS[f"plugins/{parts[1]}/"]


def own_imports(name: str) -> list[str]:
    """What a file imports from the collection, as dotted names below ``plugins``."""
    return [found.removeprefix(OWN) for found, _line in tree.imports(name) if found.startswith(tree.PACKAGE)]


@pytest.mark.parametrize("name", tree.python_files("plugins/"))
def test_imports_go_down_only(name: str) -> None:
    rooms = tuple(f"{room}." for room in allowed_rooms(name))
    assert [found for found in own_imports(name) if not found.startswith(rooms)] == []


@pytest.mark.parametrize("name", tree.python_files("plugins/modules/"))
def test_a_module_serves_one_subject(name: str) -> None:
    subjects = {".".join(found.split(".")[:2]) for found in own_imports(name)} - {CORE}
    assert len(subjects) <= 1


@pytest.mark.parametrize("name", tree.python_files("plugins/modules/", "plugins/module_utils/"))
def test_a_managed_host_needs_the_standard_library_alone(name: str) -> None:
    foreign = {
        found
        for found, _line in tree.imports(name)
        if found.split(".")[0] not in sys.stdlib_module_names
        and not found.startswith((tree.PACKAGE, "ansible.module_utils."))
        and not (name.endswith("/client.py") and found.split(".")[0] in DRIVERS)
    }
    assert sorted(foreign) == []


@pytest.mark.parametrize(
    "name", tree.python_files("plugins/action/", "plugins/plugin_utils/", "plugins/callback/", "plugins/filter/")
)
def test_the_controller_needs_what_the_requirements_name(name: str) -> None:
    known = {"ansible", "ansible_collections", *CONTROLLER_LIBRARIES, *sys.stdlib_module_names}
    assert sorted({found.split(".")[0] for found, _line in tree.imports(name)} - known) == []


@pytest.mark.parametrize("name", tree.python_files())
def test_every_import_is_absolute_and_named(name: str) -> None:
    found = [node for node in ast.walk(tree.syntax(name)) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in found if node.level or any(alias.name == "*" for alias in node.names)] == []


@pytest.mark.parametrize("name", tree.python_files("plugins/modules/", "plugins/module_utils/"))
def test_a_managed_host_s_code_is_python_3_9(name: str) -> None:
    ast.parse(tree.text(name), filename=name, feature_version=(3, 9))
    found = [node for node in ast.walk(tree.syntax(name)) if isinstance(node, (ast.Match, ast.TryStar))]
    assert [node.lineno for node in found] == []


@pytest.mark.parametrize("name", tree.python_files())
def test_annotations_are_not_evaluated(name: str) -> None:
    assert not tree.syntax(name).body or "__future__.annotations" in {found for found, _line in tree.imports(name)}
