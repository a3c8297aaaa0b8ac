# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer has to say: JSON assertions, patterns for body and header fields.

Body and fields are hostile. They are cut, searched within a time limit, and shown in short cleaned pieces alone.
"""

from __future__ import annotations

import json
import math
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError, UnknownOption
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import jsonpath
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.fields import boolean, pattern, sequence

#: Seconds that one pattern may search one answer: a pattern can be made to run for ever by a body made for it.
SEARCH_SECONDS = 0.25
MAX_DIGITS = 4000
PIECE = 80


class TooSlow(Exception):
    """A pattern did not come to an end in time."""


@dataclass(frozen=True)
class JsonAssertion:
    """What must hold wherever ``path`` leads; ``conditions`` are pairs of name and wanted value."""

    path: str
    steps: tuple[jsonpath.Step, ...]
    exists: bool
    conditions: tuple[tuple[str, Any], ...]


def _same(value: Any, wanted: Any) -> bool:
    """Equality as JSON has it: ``true`` is not 1, 1 is 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(_same(one, other) for one, other in zip(value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in value)
    return bool(value == wanted)


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class _Condition:
    """How a condition is read from the option, judged, and worded."""

    read: Callable[..., Any]
    holds: Callable[[Any, Any], bool]
    worded: Callable[[Any], str]


def _limit(raw: object, *, option: str) -> float:
    try:
        limit = float(str(raw))
    except ValueError:
        limit = math.nan
    if isinstance(raw, bool) or not math.isfinite(limit):
        raise OptionError(option, raw, "a number")
    return limit


def _as_is(raw: object, *, option: str) -> object:
    return raw


def _worded(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    return clean(json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"', limit=PIECE)


_CONDITIONS: Mapping[str, _Condition] = {
    "equals": _Condition(_as_is, _same, _worded),
    "in": _Condition(
        sequence,
        lambda value, wanted: any(_same(value, one) for one in wanted),
        lambda wanted: "one of " + ", ".join(_worded(one) for one in wanted),
    ),
    "min": _Condition(_limit, lambda value, wanted: _number(value) >= wanted, lambda wanted: f"at least {wanted:g}"),
    "max": _Condition(_limit, lambda value, wanted: _number(value) <= wanted, lambda wanted: f"at most {wanted:g}"),
    "matches": _Condition(
        pattern,
        lambda value, wanted: isinstance(value, str) and searched(wanted, value),
        lambda wanted: f"text that matches {wanted.pattern}",
    ),
}


def assertions(raw: object, *, option: str) -> tuple[JsonAssertion, ...]:
    """Reads the option ``json``."""
    return tuple(_assertion(one, option=f"{option}[{index}]") for index, one in enumerate(sequence(raw, option=option)))


def _assertion(raw: object, *, option: str) -> JsonAssertion:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("path"), str):
        raise OptionError(option, raw, "a mapping with a path, such as checks.database.status")
    try:
        steps = jsonpath.parse(raw["path"])
    except ValueError:
        raise OptionError(
            f"{option}.path", raw["path"], "names, [index] or * joined by dots, such as checks.*.status"
        ) from None
    for key in raw:
        if key not in _CONDITIONS and key not in ("path", "exists"):
            raise UnknownOption(f"{option}.{key}", ("path", "exists", *_CONDITIONS))
    conditions = tuple(
        (name, condition.read(raw[name], option=f"{option}.{name}"))
        for name, condition in _CONDITIONS.items()
        if name in raw
    )
    exists = boolean(raw.get("exists", True), option=f"{option}.exists")
    if conditions and not exists:
        raise OptionError(f"{option}.exists", False, "true where another condition stands beside it")
    return JsonAssertion(raw["path"], steps, exists, conditions)


def judge_json(document: Any, wanted: Sequence[JsonAssertion]) -> Iterator[str]:
    """A sentence for each assertion that does not hold."""
    for assertion in wanted:
        places = jsonpath.find(document, assertion.steps)
        if not assertion.exists:
            if places:
                yield f"{assertion.path} is there, but must not be"
            continue
        if not places:
            yield f"{assertion.path} is not there"
        for path, value in places:
            for name, limit in assertion.conditions:
                condition = _CONDITIONS[name]
                if not condition.holds(value, limit):
                    yield f"{path} is {_worded(value)}, not {condition.worded(limit)}"


def parse_json(body: bytes) -> Any:
    """A document; raises ValueError with a few words. Neither depth nor long figures can hurt."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_int=_figure, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None


def _figure(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("it holds a number of thousands of digits")
    return int(digits)


def _no_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")


def searched(wanted: re.Pattern[str], text: str) -> bool:
    """Whether a pattern is found; raises TooSlow."""
    with _limited(SEARCH_SECONDS):
        return wanted.search(text) is not None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Stop what runs in the main thread; the engine of regular expressions looks for signals while it backtracks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Content:
    """All that an endpoint's answer must say."""

    json: tuple[JsonAssertion, ...] = ()
    body_matches: tuple[re.Pattern[str], ...] = ()
    body_lacks: tuple[re.Pattern[str], ...] = ()
    header_matches: tuple[tuple[str, re.Pattern[str]], ...] = ()

    @property
    def needs_body(self) -> bool:
        return bool(self.json or self.body_matches or self.body_lacks)

    @property
    def amount(self) -> int:
        """How many assertions there are."""
        return len(self.json) + len(self.body_matches) + len(self.body_lacks) + len(self.header_matches)


def judge(content: Content, *, headers: Sequence[tuple[str, str]], body: bytes, whole: bool) -> tuple[str, ...]:
    """A sentence for each assertion that does not hold; ``whole`` False when the body was cut at its limit."""
    failures: list[str] = []
    try:
        failures.extend(_judge_headers(content.header_matches, headers))
        if content.needs_body:
            failures.extend(_judge_body(content, headers=headers, body=body, whole=whole))
    except TooSlow:
        failures.append(f"a pattern did not come to an end within {SEARCH_SECONDS:g} s on this answer")
    return tuple(failures)


def _judge_headers(wanted: Sequence[tuple[str, re.Pattern[str]]], headers: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, expression in wanted:
        values = [value for field, value in headers if field.lower() == name.lower()]
        if not values:
            yield f"header {name} is not there"
        elif not any(searched(expression, value) for value in values):
            shown = "***" if name.lower() in ("set-cookie", "authorization") else clean(values[0], limit=PIECE)
            yield f"header {name} is {shown}, which does not match {expression.pattern}"


def _judge_body(content: Content, *, headers: Sequence[tuple[str, str]], body: bytes, whole: bool) -> Iterator[str]:
    coding = next((value for field, value in headers if field.lower() == "content-encoding"), "identity")
    if coding.lower() not in ("", "identity"):
        yield f"the body is encoded as {clean(coding, limit=PIECE)} though identity was asked for, so it cannot be read"
        return
    text = body.decode("utf-8", "replace")
    for expression in content.body_matches:
        if not searched(expression, text):
            yield f"body does not match {expression.pattern}" + ("" if whole else " as far as it was read")
    for expression in content.body_lacks:
        if searched(expression, text):
            yield f"body matches {expression.pattern}, which must not be there"
    if content.json:
        try:
            if not whole:
                raise ValueError("it is larger than max_bytes")
            document = parse_json(body)
        except ValueError as error:
            yield f"body is not JSON: {error}"
            return
        yield from judge_json(document, content.json)
