# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages say what is so: names and links exist, and what they show to copy runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import settings
from ansible_collections.fleetcare.maintenance.tests.contract import tree
from ansible_collections.fleetcare.maintenance.tests.contract.rehearsal import rehearse
from ansible_collections.fleetcare.maintenance.tests.peers import check_postgres

PAGES = [name for name in tree.files() if name.endswith(".md") and name != "CHANGELOG.md"]
PLUGINS = {
    Path(name).stem
    for name in tree.python_files("plugins/action/", "plugins/callback/", "plugins/doc_fragments/", "plugins/filter/")
}

pages = pytest.mark.parametrize("page", PAGES)


def blocks(page: str) -> Iterator[Any]:
    """YAML that a page shows: fenced as such, or indented and beginning with a play or a task."""
    fenced = re.findall(r"^```ya?ml\n(.*?)^```", tree.text(page), flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^\n((?:    - (?:hosts|name):.*\n)(?:(?:    .*)?\n)*)", tree.text(page), flags=re.MULTILINE)
    for block in [*fenced, *indented]:
        yield yaml.safe_load(block)


def plays(page: str) -> list[dict[str, Any]]:
    """The plays and tasks of a page, as plays of their own."""
    found: list[dict[str, Any]] = []
    for block in blocks(page):
        if isinstance(block, list) and all(isinstance(entry, dict) for entry in block):
            tasks = [entry for entry in block if "hosts" not in entry]
            found.extend({**entry, "hosts": "all"} for entry in block if "hosts" in entry)
            found.extend([{"hosts": "all", "gather_facts": False, "tasks": tasks}] if tasks else [])
    return found


def variables(page: str) -> dict[str, Any]:
    """The inventory variables that a page shows."""
    return {key: value for block in blocks(page) if isinstance(block, dict) for key, value in block.items()}


@pytest.mark.parametrize("page", [page for page in PAGES if plays(page)])
def test_plays_in_a_page_run(page: str, tmp_path: Path) -> None:
    rehearsal = rehearse(plays(page), tmp_path, variables=variables(page))
    assert rehearsal.troubles == []
    assert [one for one in rehearsal.outcomes if one["kind"] == "ok"], rehearsal.output[-3000:]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if variables(page) and page.startswith(("README", "docs/", "roles/"))]
)
def test_variables_in_a_page_do_for_a_daily_run(page: str, tmp_path: Path) -> None:
    daily = {"ansible.builtin.import_playbook": f"{tree.NAMESPACE}.daily"}
    rehearsal = rehearse([daily], tmp_path, variables=variables(page))
    assert rehearsal.troubles == []
    assert rehearsal.of("host_check"), rehearsal.output[-3000:]


@pages
def test_variables_in_a_page_are_read_by_someone(page: str) -> None:
    read = settings.NAMES | {name for role in tree.roles() for name in _options(role)}
    known = (*settings.NAMES, *(f"{role}_" for role in tree.roles()))
    unread = [name for name in variables(page) if name not in read and name.startswith((*known, "maintenance_"))]
    assert [name for name in unread if not name.startswith(settings.LEVELS_PREFIX)] == []


def _options(role: str) -> Iterator[str]:
    for entry in tree.document(f"roles/{role}/meta/argument_specs.yml")["argument_specs"].values():
        yield from entry.get("options") or {}


@pages
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", tree.text(page))
    inside = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in inside if not (tree.ROOT / page).parent.joinpath(target).exists()] == []


@pages
def test_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(
        r"`((?:plugins|roles|playbooks|docs|tests|molecule|inventories)/[\w./-]+\.\w+)`", tree.text(page)
    )
    assert [name for name in named if name not in tree.files()] == []


NAMING = [
    name
    for name in tree.files()
    if name.endswith((".md", ".yml", ".yaml")) or name.startswith(("plugins/modules/", "plugins/plugin_utils/render/"))
]


@pytest.mark.parametrize("name", NAMING)
def test_what_bears_the_collection_s_name_exists(name: str) -> None:
    named = re.findall(r"(?<![\w.])fleetcare\.maintenance\.([a-z_]+)(?![\w.]*\()", tree.text(name))
    known = {*tree.modules(), *tree.roles(), *PLUGINS, "plugins", "tests"}
    known |= {Path(book).stem for book in tree.files() if re.fullmatch(r"playbooks/\w+\.yml", book)}
    known |= {book.split("/")[1] for book in tree.files() if re.match(r"playbooks/\w+/", book)}
    known |= set(tree.document("meta/runtime.yml")["action_groups"])
    assert sorted(set(named) - known) == []


def test_the_settings_of_the_page_are_the_settings_read() -> None:
    rows = re.findall(r"^\| (`maintenance_.*?) \|", tree.text("docs/architecture.md"), flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(maintenance_\w+)\*?`", row)}
    assert sorted(named) == sorted(settings.NAMES | {settings.LEVELS_PREFIX})


def test_the_page_on_postgresql_shows_what_each_action_of_check_postgres_is_here() -> None:
    page = tree.text("docs/postgresql.md")
    shown = page.split("<!-- check_postgres -->\n", 1)[1].split("<!-- end of check_postgres -->", 1)[0].strip()
    known = {f"postgresql.{check}" for action in check_postgres.ACTIONS.values() for check in action.checks}

    assert shown == check_postgres.table()
    assert known <= set(CATALOGUE)
