# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's documentation says of its options is what its argument spec takes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import runner
from ansible_collections.fleetcare.maintenance.tests.contract import tree
from ansible_collections.fleetcare.maintenance.tests.contract.test_modules import has_own_action


class Captured(Exception):
    """Carries what the runner would have given to AnsibleModule."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__("captured")
        self.arguments = arguments


def module_arguments(module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that a module gives to AnsibleModule, shared options included."""

    def capture(**arguments: Any) -> NoReturn:
        raise Captured(arguments)

    monkeypatch.setattr(runner, "Module", capture)
    imported = importlib.import_module(f"{tree.PACKAGE}.plugins.modules.{module}")
    with pytest.raises(Captured) as caught:
        imported.main()
    return caught.value.arguments


def documented(options: Mapping[str, Any]) -> dict[str, Any]:
    """Documented options in the words of an argument spec, without what is not set."""
    return {name: _plain(option, inner="suboptions", shape=documented) for name, option in options.items()}


def specified(options: Mapping[str, Any]) -> dict[str, Any]:
    """An argument spec in the same shape."""
    return {name: _plain(option, inner="options", shape=specified) for name, option in options.items()}


def _plain(option: Mapping[str, Any], *, inner: str, shape: Any) -> dict[str, Any]:
    choices = option.get("choices")
    plain = {
        "type": option.get("type", "str"),
        "elements": option.get("elements"),
        "required": option.get("required") or None,
        "default": option.get("default"),
        "choices": list(choices) if choices else None,
        "aliases": sorted(option.get("aliases") or []) or None,
        "suboptions": shape(option[inner]) if option.get(inner) else None,
    }
    return {key: value for key, value in plain.items() if value is not None}


@pytest.mark.parametrize("module", [name for name in tree.modules() if not has_own_action(name)])
def test_documented_options_are_the_options_taken(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = specified(module_arguments(module, monkeypatch)["argument_spec"])
    assert documented(tree.module_docs()[module]["doc"].get("options", {})) == taken


@pytest.mark.parametrize("module", [name for name in tree.modules() if not has_own_action(name)])
def test_secrets_are_marked_and_nothing_else_needs_to_be(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = module_arguments(module, monkeypatch)["argument_spec"]
    open_secrets = [path for path, option in _walk(spec) if _is_secret(path) and not option.get("no_log")]
    assert open_secrets == []


def _walk(spec: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name, option in spec.items():
        found.append((prefix + name, option))
        found.extend(_walk(option.get("options") or {}, f"{prefix}{name}."))
    return found


def _is_secret(path: str) -> bool:
    name = path.rsplit(".", 1)[-1]
    return name.endswith(("password", "passphrase", "secret", "token"))


@pytest.mark.parametrize("module", [name for name in tree.modules() if not has_own_action(name)])
def test_check_mode_is_supported(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_arguments(module, monkeypatch)["supports_check_mode"] is True
