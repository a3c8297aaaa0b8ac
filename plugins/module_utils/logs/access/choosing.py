# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which format a log has: the one that was said, or the one that its first lines show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import (
    Expression,
    Wanted,
    build,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.formats import (
    COMBINED,
    NAMED,
    Format,
    parse,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.jsonlines import (
    DIVISORS,
    UNITS,
    JsonLines,
    has_unit,
    names_in,
)

#: Lines that are looked at to find the format.
SAMPLE = 400
#: A format must fit this share of them.
_ENOUGH = 0.5

Parser = Union[Expression, JsonLines]


@dataclass(frozen=True)
class Chosen:
    """How lines are taken apart; ``how`` says by what it was chosen, ``note`` what it leaves unanswered."""

    parser: Parser
    how: str
    divisor: float = 1.0
    forwarded: bool = False
    #: Whether the lines hold how long a request took.
    timed: bool = False
    note: str = ""


@dataclass(frozen=True)
class Wish:
    """What the user said of a log: format, names of JSON fields, and what serves as address and as time."""

    format: str = "auto"
    json_fields: Mapping[str, str] | None = None
    address: str = "address"
    time: str = "auto"


def choose(wish: Wish, sample: Sequence[bytes]) -> Chosen | None:
    """How to take the log apart; None where its lines show no format that is known."""
    if wish.format == "json" or (wish.format == "auto" and _mostly_json(sample)):
        return _json(wish, sample)
    if wish.format != "auto":
        return expression_for(parse(wish.format), wish, "the format is as the option says")
    found = sniff(sample)
    if found is None:
        return None
    name, text, note = found
    return expression_for(parse(text), wish, f"the lines show the format {name}", note=note)


def expression_for(made: Format, wish: Wish, how: str, *, note: str = "") -> Chosen:
    """The expression of a format, with the address and the time that were wished for."""
    roles = made.roles()
    seconds = wish.time if wish.time != "auto" else "seconds" if "seconds" in roles else "upstream"
    address = wish.address if wish.address in roles else ""
    return Chosen(
        parser=build(made, Wanted(address=address, seconds=seconds if seconds in roles else "")),
        how=_lacking(how, address),
        divisor=made.divisor(seconds),
        forwarded=address == "forwarded",
        timed=seconds in roles,
        note=note,
    )


def _lacking(how: str, address: str) -> str:
    return how if address else f"{how}; it has no address of the kind that is wanted, so none is told"


def _mostly_json(sample: Sequence[bytes]) -> bool:
    return sum(line.lstrip().startswith(b"{") for line in sample) > len(sample) * _ENOUGH


def _json(wish: Wish, sample: Sequence[bytes]) -> Chosen | None:
    given = dict(wish.json_fields or {})
    unit = next((unit for unit in UNITS if unit in given), "")
    if unit:
        given["seconds"] = given.pop(unit)
    names = names_in(sample, given)
    if "status" not in names or not ("request" in names or "target" in names):
        return None
    seconds = wish.time if wish.time != "auto" else "seconds" if "seconds" in names else "upstream"
    address = wish.address if wish.address in names else ""
    name, note = names.get(seconds, ""), ""
    if name and seconds not in given and not has_unit(name, sample):
        del names[seconds]
        note = (
            f"'{name}' is a whole number, of seconds, milliseconds, microseconds or nanoseconds; say which with that "
            "key in json_fields"
        )
    return Chosen(
        parser=JsonLines(names, address=address, seconds=seconds),
        how=_lacking(
            "the lines are JSON" if wish.format == "auto" else "the format is JSON as the option says", address
        ),
        divisor=UNITS[unit] if unit and seconds == "seconds" else DIVISORS.get(name, 1.0),
        forwarded=address == "forwarded",
        timed=seconds in names,
        note=note,
    )


_COMBINED_LINE = re.compile(
    rb'\S+ (?:- .*?|\S+ \S+) \[[^\]]{1,64}\] "(?:[^"\\]|\\.)*" \d{3} (?:\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"(.*)'
)
_TAIL_TOKEN = re.compile(rb'([A-Za-z_]{1,30}[=:])?("(?:[^"\\]|\\.)*"|\S+)')
_FIGURE = re.compile(rb"\d+\.\d{3,6}|-")
_ADDRESSES = re.compile(rb"-|[0-9a-fA-F.:]{3,45}(?:, [0-9a-fA-F.:]{3,45})*")
#: Labels that people put before a time.
_REQUEST_LABELS = (b"rt", b"request_time", b"req_time", b"duration", b"t", b"time", b"reqtime")
_UPSTREAM_LABELS = (b"urt", b"upstream_response_time", b"upstream", b"ut", b"uresp", b"us", b"upstream_time")


def sniff(sample: Sequence[bytes]) -> tuple[str, str, str] | None:
    """Name, format string and a note for lines that nobody said the format of; None where no known one fits."""
    lines = [line.rstrip(b"\r") for line in sample]
    tails = Counter(
        _tail(match[1]) for line in lines if (match := _COMBINED_LINE.fullmatch(line)) and _tail(match[1]) is not None
    )
    if tails:
        tail, many = tails.most_common(1)[0]
        if many >= len(lines) * _ENOUGH and tail is not None:
            text, note = tail
            return f"combined with{text} behind it" if text else "combined", COMBINED + text, note
    best: tuple[int, str] = (0, "")
    for name in NAMED:
        expression = build(parse(name), Wanted("address", "seconds"))
        fits = sum(expression.strict.fullmatch(line + b"\n") is not None for line in lines)
        if fits > best[0]:
            best = fits, name
    return (best[1], best[1], "") if best[0] and best[0] >= len(lines) * _ENOUGH else None


def _tail(raw: bytes) -> tuple[str, str] | None:
    """What stands behind the combined format, as format string, and what is not clear about it."""
    text, note = "", ""
    seen: set[str] = set()
    rest = raw
    while rest:
        match = _TAIL_TOKEN.match(rest, 1) if rest[:1] == b" " else None
        if match is None:
            return None
        label, value = match[1] or b"", match[2]
        quoted = value.startswith(b'"')
        bare = value[1:-1] if quoted else value
        variable = _variable(label.rstrip(b"=:").lower(), bare, seen)
        if variable == "number":
            variable = "trailing"
            note = (
                "a whole number stands behind the request, seconds or microseconds; say which with a format that "
                "has %T or %D"
            )
        seen.add(variable)
        written = f'"${variable}"' if quoted else f"${variable}"
        text += f" {label.decode('latin-1')}{written}"
        rest = rest[match.end() :]
    return text, note


def _variable(label: bytes, value: bytes, seen: set[str]) -> str:
    if label in _UPSTREAM_LABELS:
        return "upstream_response_time"
    if label in _REQUEST_LABELS and _FIGURE.fullmatch(value):
        return "request_time"
    if not label and re.fullmatch(rb"\d+\.\d{3,6}", value):
        return "upstream_response_time" if "request_time" in seen else "request_time"
    if not label and "http_x_forwarded_for" not in seen and _ADDRESSES.fullmatch(value):
        # A whole number looks like the beginning of an address, and is none.
        return "number" if value.isdigit() else "http_x_forwarded_for" if value != b"-" else "trailing"
    if not label and value.isdigit():
        return "number"
    return "trailing"
