# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that mix secrets with plain words: hidden as a whole, without blanking those words elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from ansible.module_utils.common.parameters import _list_no_log_values, remove_values

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import runner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result

SPEC: dict[str, Any] = {
    "headers": {"type": "dict", "no_log": True},
    "password": {"type": "str", "no_log": True},
    "user": {"type": "str"},
}
GIVEN = {"headers": {"Token": "hush-hush", "Proto": "http"}, "password": "opensesame", "user": "me"}


class Ended(Exception):
    """Carries what a module would have printed."""


class Module:
    """As much of AnsibleModule as ends a module, with its own way of masking."""

    refusal = None

    def __init__(self, *, argument_spec: dict[str, Any], **_options: Any) -> None:
        self.argument_spec = argument_spec
        self.params = dict(GIVEN)
        self.no_log_values = _list_no_log_values(argument_spec, self.params)
        self.check_mode = False
        self._name = "probe"

    def exit_json(self, **result: Any) -> NoReturn:
        shown = {**result, "invocation": {"module_args": self.params}}
        raise Ended(json.dumps(remove_values(shown, self.no_log_values)))

    def fail_json(self, **result: Any) -> NoReturn:
        self.exit_json(**result)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Context], Result]], str]:
    monkeypatch.setattr(runner, "Module", Module)

    def run(work: Callable[[Context], Result]) -> str:
        with pytest.raises(Ended) as caught:
            runner.run(work, argument_spec=SPEC, catalogue=None, private=["headers"])
        return str(caught.value)

    return run


def test_the_work_gets_them_and_the_result_does_not(ended: Callable[..., str]) -> None:
    seen: dict[str, Any] = {}

    def work(context: Context) -> Result:
        seen.update(context.params)
        return Result(extra={"said": "http with opensesame"})

    shown = json.loads(ended(work))
    assert seen == GIVEN
    assert shown["said"] == "http with ********"
    assert shown["invocation"]["module_args"]["headers"] == "not shown"
    assert "hush-hush" not in json.dumps(shown)
    assert "opensesame" not in json.dumps(shown)


def test_a_failure_does_not_show_them_either(ended: Callable[..., str]) -> None:
    def work(context: Context) -> Result:
        raise OptionError("user", "me", "somebody else")

    assert "hush-hush" not in ended(work)
