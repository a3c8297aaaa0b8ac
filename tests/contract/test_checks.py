# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of checks, the page made from them, and the ids in the code agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import SUBJECTS
from ansible_collections.fleetcare.maintenance.tests.contract import tree
from ansible_collections.fleetcare.maintenance.tests.stages import docs

TABLES = docs.catalogues()
CHECKS = {check.id: check for table in TABLES.values() for check in table.values()}
MAKERS = (".measured", ".stated", ".skipped")
SHIPPED = ("plugins/modules/", "plugins/module_utils/", "plugins/plugin_utils/", "plugins/action/")

checks = pytest.mark.parametrize("check_id", sorted(CHECKS))


def test_the_page_is_what_the_tables_give() -> None:
    assert docs.PAGE.read_text(encoding="utf-8") == docs.render(TABLES), "run 'make docs'"


def test_the_list_of_ids_is_what_the_tables_give() -> None:
    assert docs.IDS.read_text(encoding="utf-8") == docs.render_ids(TABLES), "run 'make docs'"


def test_every_check_has_its_row_and_every_row_its_check() -> None:
    rows = re.findall(r"^### (\S+)$", docs.PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == [check for table in TABLES.values() for check in table], "run 'make docs'"


def test_the_subjects_are_those_of_the_house() -> None:
    unknown = sorted(set(TABLES) - set(SUBJECTS))
    assert unknown == [], "name the subject in SUBJECTS of plugins/plugin_utils/registry.py"


@pytest.mark.parametrize("subject", [subject for subject in sorted(TABLES) if f"docs/{subject}.md" in tree.files()])
def test_the_page_of_a_subject_has_a_row_for_each_check(subject: str) -> None:
    page = f"docs/{subject}.md"
    rows = re.findall(rf"^\| `({subject}\.\w+)` \|", tree.text(page), flags=re.MULTILINE)
    missing, unknown = sorted(set(TABLES[subject]) - set(rows)), sorted(set(rows) - set(TABLES[subject]))
    assert missing == [], f"the table below 'Checks' in {page} lacks a row"
    assert unknown == [], f"{page} has a row for what is no check"


@checks
def test_a_remedy_names_only_modules_that_are_there(check_id: str) -> None:
    verbs = "check|review|recover|vacuum|reindex|prune|rotate|retention|update|verify|create|restore|unblock"
    named = re.findall(rf"\b[a-z]+(?:_[a-z]+)*_(?:{verbs})\b", CHECKS[check_id].remedy)
    assert sorted(set(named) - set(tree.modules())) == []


@pytest.mark.parametrize(
    "page", [name for name in tree.files() if name.endswith(".md") and not name.endswith("CHANGELOG.md")]
)
def test_levels_shown_in_a_page_name_checks_that_exist(page: str) -> None:
    blocks = re.findall(r"^( *)```ya?ml\n(.*?)^\1```", tree.text(page), flags=re.MULTILINE | re.DOTALL)
    named = [key for _indent, block in blocks for key in _level_keys(yaml.safe_load(block))]
    assert [key for key in named if _subject(key) in TABLES and key.partition("[")[0] not in CHECKS] == []


@pytest.mark.parametrize("page", [name for name in tree.files() if name.endswith(".md")])
def test_suppressions_and_owners_shown_in_a_page_name_checks_that_exist(page: str) -> None:
    fenced = re.findall(r"^```ya?ml\n(.*?)^```", tree.text(page), flags=re.MULTILINE | re.DOTALL)
    shown = [block for block in map(yaml.safe_load, fenced) if isinstance(block, dict)]
    globs = [entry["check"] for block in shown for entry in block.get("maintenance_suppressions", ())]
    globs += [glob for block in shown for glob in block.get("maintenance_owners", ()) if "." in glob]
    lost = [glob for glob in globs if _subject(glob) in TABLES and not any(fnmatchcase(one, glob) for one in CHECKS)]
    assert lost == []


def _level_keys(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict) and (str(key).startswith("maintenance_levels") or key == "levels"):
                yield from map(str, value)
            yield from _level_keys(value)
    elif isinstance(node, list):
        for entry in node:
            yield from _level_keys(entry)


def _subject(check_id: str) -> str:
    return check_id.partition(".")[0]


@checks
def test_a_check_says_what_it_asks_what_it_means_where_it_looks_and_what_to_do(check_id: str) -> None:
    check = CHECKS[check_id]
    assert re.fullmatch(r"[a-z]+\.[a-z][a-z0-9_]*", check_id)
    assert check.title
    assert check.title[-1] not in ".!?"
    assert check.meaning.endswith(".")
    assert check.remedy.endswith(".")
    assert check.source
    assert len(check.remedy) <= 400, "a finding would cut it off"


@checks
def test_levels_climb_as_the_user_s_must(check_id: str) -> None:
    levels = CHECKS[check_id].levels
    if levels is not None:
        limits = [limit for limit in (levels.info, levels.warning, levels.critical) if limit is not None]
        assert limits, "levels without a limit"
        assert limits == sorted(limits, reverse=levels.direction == "lower")


@checks
def test_what_a_check_points_to_exists(check_id: str) -> None:
    check = CHECKS[check_id]
    said = f"{check.meaning} {check.remedy} {check.source}"
    pages = re.findall(r"\bdocs/[\w./-]*\w", said)
    assert [page for page in pages if page not in tree.files()] == []
    named = re.findall(r"\bfleetcare\.maintenance\.([a-z_.]*[a-z_])", said)
    assert [name for name in named if not _runnable(name)] == []


def _runnable(name: str) -> bool:
    playbook = f"playbooks/{name.replace('.', '/')}.yml"
    return name in tree.modules() or name in tree.roles() or playbook in tree.files()


def made_ids(name: str) -> Iterator[tuple[str, int]]:
    """Ids that a file hands to ``measured``, ``stated`` or ``skipped``, directly or by a constant's name."""
    constants = _constants(tree.syntax(name))
    for callee, call in tree.calls(name):
        if f".{callee.rsplit('.', 1)[-1]}" in MAKERS and call.args:
            for node in ast.walk(call.args[0]):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
                    yield node.value, node.lineno
                elif isinstance(node, ast.Name):
                    yield from ((value, node.lineno) for value in constants.get(node.id, ()))


def _constants(syntax: ast.Module) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in ast.walk(syntax):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and "." in value.value:
            for target in targets:
                found.setdefault(tree.dotted(target), set()).add(value.value)
    return found


@pytest.mark.parametrize("name", tree.python_files(*SHIPPED))
def test_ids_in_the_code_exist(name: str) -> None:
    assert [f"{check} in line {line}" for check, line in made_ids(name) if check not in CHECKS] == []


@pytest.mark.parametrize("name", tree.python_files(*SHIPPED))
def test_ids_that_are_asked_for_exist(name: str) -> None:
    asked = [
        f"{asked_for} in line {node.lineno}"
        for node in ast.walk(tree.syntax(name))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn))
        for asked_for in [getattr(node.left, "value", None)]
        if isinstance(asked_for, str) and asked_for not in CHECKS
        if tree.dotted(node.comparators[0]).rsplit(".", 1)[-1] in ("checks", "chosen", "CATALOGUE")
    ]
    assert asked == []


def used_ids() -> set[str]:
    """Ids that the code carries other than as a row of the table, a member of a set or a side of a comparison.

    Those three choose among checks; they do not make a finding.
    """
    used: set[str] = set()
    for name in tree.python_files(*SHIPPED):
        syntax = tree.syntax(name)
        choosing = {id(node) for outer in ast.walk(syntax) for node in _choosing(outer)}
        for node in ast.walk(syntax):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in choosing:
                used.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                used |= _fitting(node)
    return used


def _choosing(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Set):
        return node.elts
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and tree.dotted(node.func).rsplit(".", 1)[-1] == "Check":
        return [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "id")]
    return []


def _fitting(node: ast.JoinedStr) -> set[str]:
    """The ids that a formatted string can become; none for one that begins with something unknown."""
    first = node.values[0] if node.values else None
    if not (isinstance(first, ast.Constant) and _subject(str(first.value)) in TABLES):
        return set()
    pattern = "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[a-z0-9_]+" for part in node.values
    )
    return {check for check in CHECKS if re.fullmatch(pattern, check)}


USED = used_ids()


@checks
def test_a_check_of_the_table_is_made_somewhere(check_id: str) -> None:
    made = check_id in USED
    assert made, f"nothing makes a finding of {check_id}: docs/extending.md says where its subject answers its checks"
