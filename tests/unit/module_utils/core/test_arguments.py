# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of options; what Ansible makes of each value is Ansible's own."""

from __future__ import annotations

import math

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import (
    require_between,
    wrong_type,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError

SPEC = {
    "flag": {"type": "bool"},
    "amount": {"type": "int"},
    "share": {"type": "float"},
    "size": {"type": "bytes"},
    "name": {},
    "folder": {"type": "path"},
    "anything": {"type": "raw"},
    "password": {"no_log": True},
    "login": {"type": "dict", "options": {"password": {"no_log": True}}},
    "names": {"type": "list", "elements": "str"},
    "amounts": {"type": "list", "elements": "int"},
    "loose": {"type": "list"},
    "levels": {"type": "dict"},
    "rooms": {"type": "list", "elements": "dict", "options": {"doors": {"type": "list", "elements": "int"}}},
}


def told(**params):
    error = wrong_type(SPEC, params)
    return str(error) if error else ""


@pytest.mark.parametrize(
    ("option", "value", "place", "shown", "expected"),
    [
        ("flag", "perhaps", "flag", "'perhaps'", "true or false"),
        ("amount", 1.5, "amount", "1.5", "a whole number"),
        ("amount", float("inf"), "amount", "inf", "a whole number"),
        ("share", "half", "share", "'half'", "a number"),
        ("size", "many", "size", "'many'", "a size such as 10M"),
        ("size", "10M", "", "", ""),
        ("name", ["a"], "name", "['a']", "a text"),
        ("folder", {}, "folder", "{}", "a path"),
        ("names", 3.5, "", "", ""),
        ("names", ["a", None], "names[1]", "None", "a text"),
        ("amounts", ["1", "x"], "amounts[1]", "'x'", "a whole number"),
        ("amounts", {}, "amounts", "{}", "a list of whole numbers"),
        ("loose", {}, "loose", "{}", "a list"),
        ("levels", "a b", "levels", "'a b'", "a mapping"),
        ("rooms", 3, "rooms", "3", "a list of mappings"),
        ("rooms", [{"doors": [1]}, {"doors": [2, "x"]}], "rooms[1].doors[1]", "'x'", "a whole number"),
        ("rooms", ["doors=x"], "rooms[0].doors", "'x'", "a list of whole numbers"),
        ("password", ["tops3cret"], "password", "'(hidden)'", "a text"),
        ("login", ["tops3cret"], "login", "'(hidden)'", "a mapping"),
        ("login", {"password": ["tops3cret"]}, "login.password", "'(hidden)'", "a text"),
    ],
)
def test_a_wrong_type_is_named_with_its_place(option, value, place, shown, expected):
    assert told(**{option: value}) == (place and f"Option '{place}' is {shown}, but must be {expected}.")


def test_what_is_absent_or_unknown_or_of_any_type_is_not_complained_of():
    assert told(name=None, rooms=None, anything=[{}], unknown=[[]], _ansible_check_mode=True) == ""


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "yes", "a=b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["doors", "b"]), inner, max_size=2),
    max_leaves=4,
)


@given(option=st.sampled_from(sorted(SPEC)), value=JUNK)
def test_what_is_let_through_ansible_takes_or_tells_without_a_traceback(option, value):
    if wrong_type(SPEC, {option: value}) is None:
        for message in ArgumentSpecValidator(SPEC).validate({option: value}).error_messages:
            assert message.startswith(("rooms.", "login."))


@pytest.mark.parametrize("value", [1, 1.5, 2])
def test_a_figure_within_its_limits_passes(value):
    require_between(value, 1, 2, option="share", expected="a share from 1 to 2")


@pytest.mark.parametrize("value", [0.999, 2.001, -math.inf, math.inf, math.nan])
def test_a_figure_beyond_its_limits_is_told_with_its_option_and_what_would_be_right(value):
    with pytest.raises(OptionError) as caught:
        require_between(value, 1, 2, option="rooms[0].share", expected="a share from 1 to 2")
    assert "rooms[0].share" in str(caught.value)
    assert "a share from 1 to 2" in str(caught.value)
