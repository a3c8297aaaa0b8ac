# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of a module's options, held against its argument spec in one sentence that names the place.

Ansible's own words for an element of a list leave out which option is meant, and a suboption that is no mapping where
one belongs ends in a traceback. What a value can be turned into is asked of Ansible all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_bytes,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
)

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError

Spec = Mapping[str, Mapping[str, Any]]


def _plain(value: object) -> object:
    """Ansible would make a text of anything; a list or a mapping as a text is nothing that anybody meant."""
    if value is None or isinstance(value, (list, dict)):
        raise TypeError
    return value


#: How each type is read, and what it is called: one, and several in a list.
_TYPES: Mapping[str, tuple[Callable[[Any], Any], str, str]] = {
    "bool": (check_type_bool, "true or false", "true and false"),
    "bytes": (check_type_bytes, "a size such as 10M", "sizes"),
    "dict": (check_type_dict, "a mapping", "mappings"),
    "float": (check_type_float, "a number", "numbers"),
    "int": (check_type_int, "a whole number", "whole numbers"),
    "list": (check_type_list, "a list", "lists"),
    "path": (_plain, "a path", "paths"),
    "str": (_plain, "a text", "texts"),
}


def wrong_type(spec: Spec, params: Mapping[str, Any]) -> OptionError | None:
    """What is wrong with the first value that does not have its option's type; None where all have."""
    try:
        _require(spec, params, prefix="")
    except OptionError as error:
        return error
    return None


def require_between(value: float, least: float, most: float, *, option: str, expected: str) -> None:
    """Raises OptionError for a figure below ``least`` or above ``most``, and for one that is no number at all."""
    # A comparison that is written this way round refuses nan too.
    if not least <= value <= most:
        raise OptionError(option, value, expected)


def require_expressions(expressions: Sequence[str], *, option: str) -> None:
    """Raises OptionError for the first of the texts that is no regular expression."""
    for at, expression in enumerate(expressions):
        try:
            re.compile(expression)
        except re.error as error:
            raise OptionError(f"{option}[{at}]", expression, f"a regular expression ({error})") from None


def _require(spec: Spec, params: Mapping[str, Any], *, prefix: str) -> None:
    for name, option in spec.items():
        if params.get(name) is not None:
            _require_one(params[name], option, place=f"{prefix}{name}")


def _require_one(value: Any, option: Mapping[str, Any], *, place: str) -> None:
    """Raises OptionError for a value, or anything within it, that is not of the option's type."""
    kind, elements = option.get("type", "str"), option.get("elements", "raw")
    if kind == "list":
        entries = _read("list", value, option, place=place, several=elements)
        for at, entry in enumerate(entries):
            element = {**option, "type": elements, "elements": "raw"}
            try:
                _require_one(entry, element, place=f"{place}[{at}]")
            except OptionError:
                if isinstance(value, list):
                    raise
                raise _wrong(value, option, place=place, expected=_list_of(elements)) from None
    elif kind in _TYPES:
        read = _read(kind, value, option, place=place)
        if kind == "dict":
            _require(option.get("options") or {}, read, prefix=f"{place}.")


def _read(kind: str, value: Any, option: Mapping[str, Any], *, place: str, several: str = "") -> Any:
    reader, expected, _plural = _TYPES[kind]
    try:
        return reader(value)
    except (TypeError, ValueError, ArithmeticError):
        expected = _list_of(several) if several else expected
        raise _wrong(value, option, place=place, expected=expected) from None


def _list_of(elements: str) -> str:
    return f"a list of {_TYPES[elements][2]}" if elements in _TYPES else "a list"


def _wrong(value: Any, option: Mapping[str, Any], *, place: str, expected: str) -> OptionError:
    return OptionError(place, "(hidden)" if _holds_secrets(option) else value, expected)


def _holds_secrets(option: Mapping[str, Any]) -> bool:
    return bool(option.get("no_log")) or any(map(_holds_secrets, (option.get("options") or {}).values()))
