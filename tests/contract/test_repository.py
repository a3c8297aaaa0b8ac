# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository speaks of the product alone, carries its licence, and proves what it changes."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES
from ansible_collections.fleetcare.maintenance.tests.contract import tree

LICENCE = (
    "Copyright: fleetcare.maintenance contributors",
    "GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "SPDX-License-Identifier: GPL-3.0-or-later",
)
THIS = "tests/contract/test_repository.py"
#: Words of those who make it, and work put off. Ruff finds the like in comments of Python; these are for every file.
UNWANTED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|\bTBD\b"
    r"|(?i:\bnot (yet )?implemented\b|\b(sub-?agent|timebox)\b|\b(other|another) helper'?s?\b|\bthis session\b"
    r"|\b(seeds?|rows?|features?) [A-Z]{1,2}\d{1,2}\b|shared/(design|reference|seeds)|\bissue #?\d+\b|\blorem ipsum\b"
    r"|\b(features|servers|exemplars|brief)\.md\b)"
)
GENERATED = ("__pycache__", ".pyc", ".retry", ".tar.gz", ".egg-info", ".hypothesis", ".sqlite", ".db", ".log")
#: Where packages come from by default; every other source is the business of one machine.
PUBLIC = {
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "index.crates.io",
    "deb.debian.org",
}

PICTURES = (".png",)
texts = pytest.mark.parametrize(
    "name", [name for name in tree.files() if name not in ("LICENSE", THIS) and not name.endswith(PICTURES)]
)


def content(name: str) -> str:
    """A file's text; what is no UTF-8 is shown as far as it goes."""
    return (tree.ROOT / name).read_text(encoding="utf-8", errors="replace")


@texts
def test_no_unwanted_words(name: str) -> None:
    found = [
        f"line {number}: {match.group()}"
        for number, line in enumerate(content(name).splitlines(), 1)
        for match in [UNWANTED.search(line)]
        if match
    ]
    assert found == []


def private_names() -> list[str]:
    """What is this machine's own: the checkout's path, and the package sources that it is told to use."""
    told = [
        value
        for key, value in os.environ.items()
        if key.lower().endswith(("_index_url", "_registry", "goproxy", "_find_links", "_trusted_host"))
    ]
    hosts = {
        urlsplit(url if "//" in url else f"//{url}").hostname for value in told for url in re.split(r"[\s,|]+", value)
    }
    return [str(tree.ROOT), *sorted(host for host in hosts if host and "." in host and host not in PUBLIC)]


@texts
def test_no_names_of_one_machine(name: str) -> None:
    assert [private for private in private_names() if private in content(name)] == []
    assert (
        re.findall(
            r"/(?:home|Users)/(?!maint\b|deploy\b|user\b)[a-z]\w+/(?:src|work|git|code|projects)\b", content(name)
        )
        == []
    )


def test_nothing_generated_is_kept() -> None:
    found = [name for name in tree.files() if name.endswith(GENERATED) or "__pycache__" in name]
    assert [name for name in found if not name.startswith("tests/")] == []
    assert [name for name in found if name.endswith((".pyc", ".retry", ".tar.gz"))] == []


@pytest.mark.parametrize("name", tree.python_files())
def test_a_python_file_carries_the_licence(name: str) -> None:
    head = "\n".join(tree.text(name).splitlines()[:8])
    assert [line for line in LICENCE if f"# {line}" not in head] == []


@pytest.mark.parametrize("name", tree.python_files("plugins/modules/"))
def test_a_module_starts_as_modules_do(name: str) -> None:
    assert tree.text(name).startswith("#!/usr/bin/python\n")
    assert not os.access(tree.ROOT / name, os.X_OK)


@pytest.mark.parametrize("name", tree.python_files("plugins/"))
def test_a_python_file_says_what_it_is_for(name: str) -> None:
    documented = name.startswith("plugins/modules/") or ast.get_docstring(tree.syntax(name))
    assert documented


@pytest.mark.parametrize("name", tree.python_files("plugins/"))
def test_no_file_is_named_after_nothing(name: str) -> None:
    assert Path(name).stem not in ("utils", "util", "helpers", "helper", "common", "misc", "tools")


def integration_tests() -> set[str]:
    """Names of all tests that talk to real servers."""
    return {
        node.name
        for name in tree.python_files("tests/integration/")
        for node in ast.walk(tree.syntax(name))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("module", sorted(name for name, entry in MODULES.items() if entry.kind == "repair"))
def test_a_repair_passes_check_run_check_run(module: str) -> None:
    wanted = f"test_quartet_{module}"
    assert any(name == wanted or name.startswith(f"{wanted}_") for name in integration_tests()), f"no {wanted}"
