# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths into a JSON document: ``checks.database.status``, ``nodes[0].state``, ``checks.*.status``, ``["a.b"].c``.

A star stands for every member of an object or every element of an array, so that one assertion covers each dependency
that a health page lists.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Union

MAX_MATCHES = 1000
MAX_STEPS = 50

_STEP = re.compile(
    r"""\.?(?P<star>\*|\[\*\])
      |\[(?P<index>-?\d{1,9})\]
      |\[(?P<quoted>"(?:[^"\\]|\\.)*")\]
      |\.?(?P<name>[^.\[\]*"\s][^.\[\]*"]*)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Star:
    """Every member or element."""


Step = Union[str, int, Star]


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path; a leading ``$`` is allowed. Raises ValueError."""
    rest = text.strip()
    rest = rest[1:] if rest.startswith("$") else rest
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None or (position == 0 and rest.startswith(".") and not text.strip().startswith("$")):
            raise ValueError(text)
        steps.append(_step(match))
        position = match.end()
    if not steps or len(steps) > MAX_STEPS:
        raise ValueError(text)
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match.group("star"):
        return Star()
    if match.group("index"):
        return int(match.group("index"))
    if match.group("quoted"):
        return str(json.loads(match.group("quoted")))
    return match.group("name")


def find(document: Any, steps: tuple[Step, ...]) -> list[tuple[str, Any]]:
    """All places a path leads to, each with its own spelled-out path; at most ``MAX_MATCHES``."""
    places: list[tuple[str, Any]] = [("", document)]
    for step in steps:
        places = [found for path, value in places for found in _down(path, value, step)][:MAX_MATCHES]
    return places


def _down(path: str, value: Any, step: Step) -> list[tuple[str, Any]]:
    if isinstance(step, Star):
        if isinstance(value, dict):
            return [(_member(path, name), inner) for name, inner in list(value.items())[:MAX_MATCHES]]
        if isinstance(value, list):
            return [(f"{path}[{index}]", inner) for index, inner in enumerate(value[:MAX_MATCHES])]
        return []
    if isinstance(step, int):
        if isinstance(value, list) and -len(value) <= step < len(value):
            return [(f"{path}[{step}]", value[step])]
        return []
    if isinstance(value, dict) and step in value:
        return [(_member(path, step), value[step])]
    return []


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
