# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When repairs may run: windows, freezes, holidays, and the override that is recorded.

All rules are written in local time and decided in UTC. A local time that a change to summer time leaves out means the
moment of the change; one that comes twice is taken the first time. So a night's window can be an hour shorter or
longer, one that lies wholly in the missing hour does not open that night, and none is ever open at a local time that
its rule does not name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_NAMES = {name: number for names in (DAYS, _FULL_DAYS) for number, name in enumerate(names)}
#: How far ahead the next opening is looked for: a yearly window must be found.
HORIZON = timedelta(days=400)
#: Beyond these a date is a slip, and arithmetic would leave the calendar.
YEARS = range(1970, 9000)
_RULE = re.compile(r"FREQ=[A-Z]+(;[A-Z]+=[A-Z0-9,+-]+)*;?")
_NEEDS_A_START = re.compile(r"COUNT=|INTERVAL=(?!1\b)")
_INTERVAL = re.compile(r"\bINTERVAL=([^;]*)")
_OFTEN = re.compile(r"\bFREQ=(HOURLY|DAILY|WEEKLY)\b")
_PROOF = datetime(9960, 1, 1)  # noqa: DTZ001 - local time without a zone is meant
_DURATION = re.compile(r"(?:(\d{1,3})\s*d)?\s*(?:(\d{1,4})\s*h)?\s*(?:(\d{1,5})\s*m(?:in)?)?", re.ASCII)
_WEEKLY_KEYS = {"name", "timezone", "days", "start", "end"}
_RULE_KEYS = {"name", "timezone", "rrule", "start_date", "duration"}


@dataclass(frozen=True)
class Span:
    """A stretch of time, both ends aware and in UTC; ``end`` itself is outside."""

    start: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@dataclass(frozen=True)
class Freeze:
    """No repairs in a span; ``zone`` is for telling people."""

    span: Span
    reason: str
    zone: ZoneInfo


@dataclass(frozen=True)
class Window:
    """A rule for spans: either weekdays with a start and an end, or an RRULE with a duration."""

    name: str
    zone: ZoneInfo
    days: frozenset[int] = frozenset()
    start: time = time(0)
    end: time = time(0)
    rule: str = ""
    first: date | None = None
    length: timedelta = timedelta(0)

    def spans(self, moment: datetime, holidays: frozenset[date]) -> Iterator[Span]:
        """The spans that hold ``moment`` or come after it, in order, up to the horizon."""
        for begin, finish in self._local_spans(moment.astimezone(self.zone).replace(tzinfo=None)):
            if begin.date() in holidays:
                continue
            start = _in_zone(begin, self.zone)
            end = start + self.length if self.rule else _in_zone(finish, self.zone)
            if start < end and end > moment:
                yield Span(start, end)

    def _local_spans(self, local: datetime) -> Iterator[tuple[datetime, datetime]]:
        if self.rule:
            yield from self._by_rule(local)
            return
        overnight = timedelta(days=1 if self.end <= self.start else 0)
        day = local.date() - timedelta(days=2)
        while day <= local.date() + HORIZON:
            if day.weekday() in self.days:
                yield datetime.combine(day, self.start), datetime.combine(day + overnight, self.end)
            day += timedelta(days=1)

    def _by_rule(self, local: datetime) -> Iterator[tuple[datetime, datetime]]:
        # Without a start date the rule says all by itself, and where it starts only costs time.
        often = _OFTEN.search(self.rule)
        near = local.date() - self.length - timedelta(days=21)
        anchor = self.first or (near if often else date(local.year - 1, 1, 1))
        if often and anchor < near and "COUNT=" not in self.rule:
            # Whole periods further on the rule says the same, without a walk through every hour of decades. A step of
            # so many hours fits into as many days.
            period = self._interval() * (7 if often[1] == "WEEKLY" else 1)
            anchor += timedelta(days=(near - anchor).days // period * period)
        rule = rrulestr(self.rule, dtstart=datetime.combine(anchor, time(0)), ignoretz=True)
        for begin in rule.xafter(local - self.length - timedelta(days=1), inc=True):
            if begin > local + HORIZON:
                return
            yield begin, begin + self.length

    def _interval(self) -> int:
        match = _INTERVAL.search(self.rule)
        return int(match[1]) if match else 1


def _in_zone(local: datetime, zone: ZoneInfo) -> datetime:
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # The local time does not exist: the change lies between its two readings.
    early, late = local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


@dataclass(frozen=True)
class Calendar:
    """Everything that decides about repairs; ``windows`` empty means that any time is allowed."""

    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    holidays: frozenset[date] = frozenset()
    override_reason: str = ""
    override_by: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether a repair may run now, until when, and in words why (not)."""

    allowed: bool
    reason: str
    window: str = ""
    ends: datetime | None = None
    overridden: bool = False


def decide(calendar: Calendar, now: datetime) -> Decision:
    """Hold ``now`` (aware) against the calendar."""
    if calendar.override_reason:
        return Decision(True, f"override: {calendar.override_reason}", overridden=True)
    for freeze in calendar.freezes:
        if freeze.span.holds(now):
            return Decision(False, f"frozen until {local_time(freeze.span.end, freeze.zone)}: {freeze.reason}")
    ahead = [freeze.span.start for freeze in calendar.freezes if freeze.span.start > now]
    next_freeze = min(ahead, default=None)
    if not calendar.windows:
        return Decision(True, "no maintenance window is set, so any time is allowed", ends=next_freeze)
    return _decide_windows(calendar, now, next_freeze)


def _decide_windows(calendar: Calendar, now: datetime, next_freeze: datetime | None) -> Decision:
    openings: list[tuple[datetime, Window]] = []
    current: list[tuple[datetime, Window]] = []
    for window in calendar.windows:
        for span in window.spans(now, calendar.holidays):
            if span.holds(now):
                current.append((span.end, window))
                continue
            openings.append((span.start, window))
            break
    if current:
        end, window = max(current, key=_moment)
        ends = min(end, next_freeze) if next_freeze else end
        word = "open until" if ends == end else "cut short by a freeze at"
        reason = f"window {window.name} is {word} {local_time(ends, window.zone)}"
        return Decision(True, reason, window=window.name, ends=ends)
    if openings:
        start, window = min(openings, key=_moment)
        reason = f"outside every maintenance window; {window.name} opens {local_time(start, window.zone)}"
        return Decision(False, reason)
    return Decision(False, f"outside every maintenance window, and none opens in the next {HORIZON.days} days")


def _moment(entry: tuple[datetime, Window]) -> datetime:
    return entry[0]


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as people of a zone read it: ``Sun 2026-03-29 03:00 CEST``."""
    local = moment.astimezone(zone)
    return f"{DAYS[local.weekday()].title()} {local:%Y-%m-%d %H:%M} {local.tzname() or zone.key}"


def parse_windows(raw: object, *, default_zone: str, option: str = "maintenance_windows") -> tuple[Window, ...]:
    """``maintenance_windows`` as windows. Raises OptionError."""
    windows = []
    for index, entry in enumerate(_listed(raw, option)):
        here = f"{option}[{index}]"
        if not isinstance(entry, Mapping):
            raise OptionError(here, entry, "a mapping with days, start and end, or with rrule and duration")
        keys = _RULE_KEYS if "rrule" in entry else _WEEKLY_KEYS
        for key in entry:
            if key not in keys:
                raise OptionError(f"{here}.{key}", entry[key], f"left out: it takes {', '.join(sorted(keys))}")
        zone = parse_zone(entry.get("timezone", default_zone), option=f"{here}.timezone")
        name = entry.get("name", f"window {index + 1}")
        if not isinstance(name, str) or not name.strip():
            raise OptionError(f"{here}.name", name, "a text")
        build = _rule_window if "rrule" in entry else _weekly_window
        windows.append(build(entry, name=clean(name, limit=80), zone=zone, option=here))
    return tuple(windows)


def _weekly_window(entry: Mapping[str, Any], *, name: str, zone: ZoneInfo, option: str) -> Window:
    for key in ("start", "end"):
        if key not in entry:
            raise OptionError(f"{option}.{key}", None, 'a time such as "02:00"')
    return Window(
        name=name,
        zone=zone,
        days=_days(entry.get("days", "mon-sun"), option=f"{option}.days"),
        start=_time(entry["start"], option=f"{option}.start"),
        end=_time(entry["end"], option=f"{option}.end", last=True),
    )


def _rule_window(entry: Mapping[str, Any], *, name: str, zone: ZoneInfo, option: str) -> Window:
    rule = _rule(entry["rrule"], option=f"{option}.rrule")
    first = _date(entry["start_date"], option=f"{option}.start_date") if "start_date" in entry else None
    if first is None and _NEEDS_A_START.search(rule):
        raise OptionError(f"{option}.start_date", None, "a date, for a rule with INTERVAL or COUNT counts from it")
    if first is None and "FREQ=WEEKLY" in rule and "BYDAY" not in rule:
        raise OptionError(f"{option}.rrule", rule, "a weekly rule that says BYDAY, such as FREQ=WEEKLY;BYDAY=SA")
    if "duration" not in entry:
        raise OptionError(f"{option}.duration", None, "how long the window stays open, such as 2h or 90m")
    length = parse_duration(entry["duration"], option=f"{option}.duration")
    return Window(name=name, zone=zone, rule=rule, first=first, length=length)


def _rule(raw: object, *, option: str) -> str:
    expected = "an RFC 5545 rule such as FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2"
    if not isinstance(raw, str):
        raise OptionError(option, raw, expected)
    rule = raw.strip().upper().removeprefix("RRULE:")
    if not _RULE.fullmatch(rule):
        raise OptionError(option, raw, expected)
    if re.search(r"FREQ=(SECONDLY|MINUTELY)", rule):
        raise OptionError(option, rule, "a rule that repeats hourly at the most")
    interval = _INTERVAL.search(rule)
    if interval and not re.fullmatch(r"0*[1-9][0-9]{0,3}", interval[1]):
        raise OptionError(option, rule, "a rule with an INTERVAL from 1 to 9999")
    if "FREQ=HOURLY" in rule and "COUNT=" in rule:
        raise OptionError(option, rule, "an hourly rule that ends with UNTIL, not with COUNT")
    try:
        parsed: Any = rrulestr(rule, dtstart=_PROOF, ignoretz=True)
        # Whether it ever comes is tried near the end of the calendar, where the search for a day that never comes ends
        # soon: it would go on to the year 9999 whenever a repair asks.
        comes = next(iter(parsed.replace(interval=1, count=None, until=None)), None)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError):
        raise OptionError(option, rule, expected) from None
    if comes is None:
        raise OptionError(option, rule, "a rule whose day comes at all")
    return rule


def parse_freezes(raw: object, *, default_zone: str, option: str = "maintenance_freezes") -> tuple[Freeze, ...]:
    """``maintenance_freezes`` as spans with their reasons. Raises OptionError."""
    freezes = []
    for index, entry in enumerate(_listed(raw, option)):
        here = f"{option}[{index}]"
        if not isinstance(entry, Mapping) or set(entry) - {"from", "to", "reason", "timezone"}:
            raise OptionError(here, entry, "a mapping with from, to and reason")
        zone = parse_zone(entry.get("timezone", default_zone), option=f"{here}.timezone")
        start = parse_moment(entry.get("from"), zone=zone, end_of_day=False, option=f"{here}.from")
        end = parse_moment(entry.get("to"), zone=zone, end_of_day=True, option=f"{here}.to")
        if start >= end:
            raise OptionError(f"{here}.to", str(entry.get("to")), "later than from")
        if not isinstance(entry.get("reason"), str) or not entry["reason"].strip():
            raise OptionError(f"{here}.reason", entry.get("reason"), "a text, the reason for the freeze")
        freezes.append(Freeze(Span(start, end), clean(entry["reason"]), zone))
    return tuple(freezes)


def parse_holidays(raw: object, *, option: str = "maintenance_holidays") -> frozenset[date]:
    """``maintenance_holidays`` as dates. Raises OptionError."""
    days = set()
    for index, entry in enumerate(_listed(raw, option)):
        here = f"{option}[{index}]"
        if isinstance(entry, Mapping) and set(entry) - {"date", "name"}:
            raise OptionError(here, entry, "a date, or a mapping with date and name")
        given = entry.get("date") if isinstance(entry, Mapping) else entry
        days.add(_date(given, option=here))
    return frozenset(days)


def parse_zone(raw: object, *, option: str) -> ZoneInfo:
    """A time zone by its name in the tz database. Raises OptionError."""
    try:
        if isinstance(raw, str) and raw:
            return ZoneInfo(raw)
    except (KeyError, ValueError, OSError):
        pass
    raise OptionError(option, raw, "a time zone such as Europe/Berlin or UTC")


def parse_duration(raw: object, *, option: str) -> timedelta:
    """``2h``, ``90m``, ``1h30m``, ``1d``; at most seven days. Raises OptionError."""
    match = _DURATION.fullmatch(raw.strip().lower()) if isinstance(raw, str) else None
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes)
    if not timedelta(0) < length <= timedelta(days=7):
        raise OptionError(option, raw, "a duration such as 2h, 90m or 1h30m, at most 7d")
    return length


def parse_moment(raw: object, *, zone: ZoneInfo, end_of_day: bool, option: str) -> datetime:
    """A date or a date with time; without a zone it is meant in ``zone``. Returns UTC. Raises OptionError.

    A bare date is its start, or with ``end_of_day`` the start of the day after it.
    """
    moment: datetime | date | None = None
    if isinstance(raw, (date, datetime)):
        moment = raw
    elif isinstance(raw, str):
        moment = _from_text(raw.strip())
    if moment is None or moment.year not in YEARS:
        raise OptionError(option, raw, "a date such as 2026-12-24 or a time such as 2026-12-24T18:00")
    if isinstance(moment, datetime):
        return moment.astimezone(UTC) if moment.tzinfo else _in_zone(moment, zone)
    day = moment + timedelta(days=1 if end_of_day else 0)
    return _in_zone(datetime.combine(day, time(0)), zone)


def _from_text(text: str) -> datetime | date | None:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _date(raw: object, *, option: str) -> date:
    parsed = _from_text(raw.strip()) if isinstance(raw, str) else raw
    if isinstance(parsed, datetime) or not isinstance(parsed, date) or parsed.year not in YEARS:
        raise OptionError(option, raw, "a date such as 2026-12-25")
    return parsed


def _time(raw: object, *, option: str, last: bool = False) -> time:
    """A time of day; ``24:00`` ends a day and starts none."""
    hour, minute = -1, 0
    if isinstance(raw, int) and not isinstance(raw, bool):
        # YAML 1.1 reads an unquoted 02:30 as the number 150: sixty times two, and thirty.
        hour, minute = divmod(raw, 60)
    elif isinstance(raw, str):
        match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::00)?", raw.strip(), re.ASCII)
        hour, minute = (int(match[1]), int(match[2])) if match else (-1, 0)
    if last and (hour, minute) == (24, 0):
        return time(0)
    if not 0 <= hour < 24 or minute > 59:
        raise OptionError(option, raw, f'a time such as "02:30", from 00:00 to {"24:00" if last else "23:59"}')
    return time(hour, minute)


def _days(raw: object, *, option: str) -> frozenset[int]:
    parts = raw if isinstance(raw, Sequence) and not isinstance(raw, (str, bytes)) else str(raw).split(",")
    days: set[int] = set()
    for part in parts:
        first, dash, last = (piece.strip().lower() for piece in str(part).partition("-"))
        if first not in _DAY_NAMES or (dash and last not in _DAY_NAMES):
            raise OptionError(option, raw, "days such as mon-fri,sun")
        start = _DAY_NAMES[first]
        days.update((start + step) % 7 for step in range((_DAY_NAMES[last if dash else first] - start) % 7 + 1))
    if not days:
        raise OptionError(option, raw, "days such as mon-fri,sun")
    return frozenset(days)


def _listed(raw: object, option: str) -> Sequence[Any]:
    if raw is None:
        return ()
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Sequence):
        raise OptionError(option, raw, "a list")
    return raw
