# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as the contract sees it: its files, their syntax trees, and what Ansible says of its modules."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.fleetcare.maintenance.tests.stages.environments import CACHE, ROOT, tracked_files

NAMESPACE = "fleetcare.maintenance"
PACKAGE = f"ansible_collections.{NAMESPACE}"
PROGRAMS = Path(sys.executable).parent


@cache
def files() -> tuple[str, ...]:
    """Every file of the checkout that git tracks or would, from its root."""
    return tuple(name for name in tracked_files() if (ROOT / name).is_file())


def python_files(*prefixes: str) -> list[str]:
    """The Python files below any of the folders; all of them without a folder."""
    return [name for name in files() if name.endswith(".py") and (not prefixes or name.startswith(prefixes))]


@cache
def text(name: str) -> str:
    """A file's text."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def syntax(name: str) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(text(name), filename=name)


@cache
def document(name: str) -> Any:
    """A YAML file's content."""
    return yaml.safe_load(text(name))


@cache
def modules() -> tuple[str, ...]:
    """Short names of the collection's modules, from the folder."""
    return tuple(sorted(Path(name).stem for name in python_files("plugins/modules/")))


@cache
def roles() -> tuple[str, ...]:
    """Names of the roles that have tasks."""
    return tuple(sorted({name.split("/")[1] for name in files() if name.startswith("roles/") and "/tasks/" in name}))


def ansible_environment(**extra: str) -> dict[str, str]:
    """An environment in which Ansible's programs see this checkout and nothing of the user's."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {
        **inherited,
        "PATH": f"{PROGRAMS}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "ANSIBLE_COLLECTIONS_PATH": str(CACHE / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        **extra,
    }


@cache
def module_docs() -> dict[str, dict[str, Any]]:
    """What ``ansible-doc`` makes of every module: ``doc`` with the fragments worked in, ``examples``, ``return``."""
    names = [f"{NAMESPACE}.{name}" for name in modules()]
    done = subprocess.run(
        [str(PROGRAMS / "ansible-doc"), "-t", "module", "--json", *names],
        cwd=ROOT, env=ansible_environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return {name.rsplit(".", 1)[-1]: said for name, said in json.loads(done.stdout).items()}


def examples(module: str) -> list[dict[str, Any]]:
    """The tasks of a module's examples. Raises where they are no list of tasks."""
    tasks = yaml.safe_load(module_docs()[module]["examples"])
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise TypeError(f"the examples of {module} are no list of tasks")
    return tasks


def flat_tasks(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Tasks one after the other, blocks opened."""
    for task in tasks:
        nested = [task[key] for key in ("block", "rescue", "always") if key in task]
        if nested:
            for inner in nested:
                yield from flat_tasks(inner)
        else:
            yield task


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name or an attribute of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the callee's name; a method of something computed comes as ``.method``."""
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Call):
            yield dotted(node.func) or f".{getattr(node.func, 'attr', '')}", node


def imports(name: str) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module or ''}.{alias.name}", node.lineno
