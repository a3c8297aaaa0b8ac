# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import windows
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.windows import (
    Calendar,
    decide,
    parse_duration,
    parse_freezes,
    parse_holidays,
    parse_moment,
    parse_windows,
)

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"
NIGHT = {"name": "night", "start": "02:00", "end": "04:30"}
# Without a zone, as YAML gives them.
MAX, MIN = datetime.max, datetime.min  # noqa: DTZ901
ZONES = (BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu")


def at(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def calendar(*windows, zone=BERLIN, freezes=None, holidays=None, **override):
    return Calendar(
        windows=parse_windows(list(windows), default_zone=zone),
        freezes=parse_freezes(freezes, default_zone=zone),
        holidays=parse_holidays(holidays),
        **override,
    )


def opening_hours(rules, day, *, zone=BERLIN):
    """Every minute of a local day (and the night after it) at which repairs may run, as UTC spans."""
    start, spans = at(f"{day}T00:00", zone), []
    for minute in range(36 * 60):
        moment = start + timedelta(minutes=minute)
        if decide(rules, moment).allowed:
            if spans and spans[-1][1] == moment:
                spans[-1][1] += timedelta(minutes=1)
            else:
                spans.append([moment, moment + timedelta(minutes=1)])
    return [f"{begin:%H:%M}-{end:%H:%M}" for begin, end in spans]


def test_without_windows_any_time_is_allowed_and_never_ends():
    decision = decide(calendar(), at("2026-06-10T12:00"))
    assert (decision.allowed, decision.ends, decision.window) == (True, None, "")


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-06-10T01:59:59", False),
        ("2026-06-10T02:00", True),
        ("2026-06-10T04:29:59", True),
        ("2026-06-10T04:30", False),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(moment, allowed):
    assert decide(calendar(NIGHT), at(moment)).allowed is allowed


@pytest.mark.parametrize(
    ("days", "open_on"),
    [
        ("mon-fri", "01234"),
        ("mon-fri,sun", "012346"),
        ("sat-mon", "056"),
        ("Monday, wed", "02"),
        (["sat", "sun"], "56"),
        ("mon-sun", "0123456"),
    ],
)
def test_days_are_names_ranges_and_lists(days, open_on):
    rules = calendar({**NIGHT, "days": days})
    week = [at("2026-06-08T03:00") + timedelta(days=day) for day in range(7)]
    assert "".join(str(day) for day, moment in enumerate(week) if decide(rules, moment).allowed) == open_on


def test_an_overnight_window_belongs_to_the_day_on_which_it_opens():
    rules = calendar({"name": "late", "days": "fri", "start": "22:00", "end": "03:00"})
    assert decide(rules, at("2026-06-12T23:00")).allowed
    saturday = decide(rules, at("2026-06-13T02:59"))
    assert saturday.allowed
    assert saturday.ends == at("2026-06-13T03:00")
    assert not decide(rules, at("2026-06-12T02:00")).allowed


def test_the_same_start_and_end_is_a_whole_day_and_24_00_ends_one():
    assert decide(calendar({"start": "00:00", "end": "24:00"}), at("2026-06-12T12:00")).ends == at("2026-06-13T00:00")
    assert decide(calendar({"start": 120, "end": 270}), at("2026-06-12T02:00")).ends == at("2026-06-12T04:30")


@pytest.mark.parametrize(
    ("window", "day", "zone", "spans"),
    [
        # Europe/Berlin: 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
        (("01:00", "04:00"), "2026-03-29", BERLIN, ["00:00-02:00"]),
        (("02:00", "03:00"), "2026-03-29", BERLIN, []),
        (("02:15", "02:45"), "2026-03-29", BERLIN, []),
        (("02:30", "03:15"), "2026-03-29", BERLIN, ["01:00-01:15"]),
        (("01:00", "02:30"), "2026-03-29", BERLIN, ["00:00-01:00"]),
        (("01:00", "04:00"), "2026-10-25", BERLIN, ["23:00-03:00"]),
        (("02:00", "03:00"), "2026-10-25", BERLIN, ["00:00-02:00"]),
        (("02:15", "02:45"), "2026-10-25", BERLIN, ["00:15-00:45"]),
        (("01:00", "02:30"), "2026-10-25", BERLIN, ["23:00-00:30"]),
        # America/New_York: 2026-03-08 02:00 becomes 03:00; 2026-11-01 02:00 becomes 01:00.
        (("02:10", "02:50"), "2026-03-08", NEW_YORK, []),
        (("01:30", "03:30"), "2026-03-08", NEW_YORK, ["06:30-07:30"]),
        (("01:30", "02:30"), "2026-11-01", NEW_YORK, ["05:30-07:30"]),
        # Australia/Lord_Howe moves by half an hour: 2026-10-04 02:00 becomes 02:30, 2026-04-05 02:00 becomes 01:30.
        (("02:00", "02:30"), "2026-10-04", LORD_HOWE, []),
        (("02:15", "03:00"), "2026-10-04", LORD_HOWE, ["15:30-16:00"]),
        (("01:00", "02:00"), "2026-04-05", LORD_HOWE, ["14:00-15:30"]),
        (("02:00", "03:00"), "2026-03-29", "UTC", ["02:00-03:00"]),
    ],
)
def test_nights_on_which_the_clock_changes(window, day, zone, spans):
    rules = calendar({"start": window[0], "end": window[1], "days": "sun"}, zone=zone)
    assert opening_hours(rules, day, zone=zone) == spans


def test_a_rule_in_the_missing_hour_opens_at_the_change_for_its_whole_length():
    rules = calendar({"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "duration": "1h"})
    assert opening_hours(rules, "2026-03-29")[0] == "01:00-02:00"


def test_a_rule_gives_windows_by_the_month():
    rules = calendar({"name": "patch day", "rrule": "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=20;BYMINUTE=0", "duration": "2h30m"})
    inside = decide(rules, at("2026-06-09T22:29"))
    assert (inside.allowed, inside.ends) == (True, at("2026-06-09T22:30"))
    outside = decide(rules, at("2026-06-09T22:30"))
    assert outside.reason == "outside every maintenance window; patch day opens Tue 2026-07-14 20:00 CEST"


@pytest.mark.parametrize(
    ("rule", "extra", "moment"),
    [
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3", {}, "2028-02-29T03:30"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;BYHOUR=3", {"start_date": "2026-06-06"}, "2026-06-20T03:30"),
        ("FREQ=HOURLY", {}, "2026-06-20T03:30"),
        ("FREQ=DAILY;UNTIL=20260621T000000Z;BYHOUR=3", {}, "2026-06-20T03:30"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=3", {}, "2026-06-30T03:30"),
    ],
)
def test_rules_that_people_write(rule, extra, moment):
    assert decide(calendar({"rrule": rule, "duration": "40m", **extra}), at(moment)).allowed


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY",
        "FREQ=HOURLY;INTERVAL=7",
        "FREQ=HOURLY;INTERVAL=5;BYDAY=SA",
        "FREQ=DAILY;INTERVAL=3;BYHOUR=2",
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SA;BYHOUR=3",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO",
        "FREQ=DAILY;INTERVAL=5",
    ],
)
def test_an_old_start_date_counts_as_if_every_period_since_were_walked(rule):
    rules = calendar({"rrule": rule, "duration": "1h", "start_date": "2025-01-01"}, zone="UTC")
    (window,) = rules.windows
    moment = at("2026-06-19T00:30", "UTC")
    walked = rrulestr(rule, dtstart=datetime(2025, 1, 1)).xafter(datetime(2026, 6, 18, 23, 30), count=20)  # noqa: DTZ001
    assert [span.start.replace(tzinfo=None) for span in islice(window.spans(moment, frozenset()), 20)] == list(walked)


def test_an_hourly_rule_is_not_walked_from_its_start(monkeypatch):
    anchors = []

    def recording(rule, *, dtstart, ignoretz):
        anchors.append(dtstart)
        return rrulestr(rule, dtstart=dtstart, ignoretz=ignoretz)

    rules = calendar({"rrule": "FREQ=HOURLY", "duration": "1h", "start_date": "1970-01-01"}, zone="UTC")
    monkeypatch.setattr(windows, "rrulestr", recording)
    assert decide(rules, at("2026-06-20T00:30", "UTC")).allowed
    assert anchors[0] > datetime(2026, 5, 1)  # noqa: DTZ001


def test_a_start_date_says_from_which_week_every_second_one_counts():
    rules = calendar(
        {"rrule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;BYHOUR=3", "duration": "1h", "start_date": "2026-06-06"}
    )
    assert not decide(rules, at("2026-06-13T03:30")).allowed


def test_the_longest_of_overlapping_windows_gives_the_end():
    rules = calendar(NIGHT, {"name": "long", "start": "01:00", "end": "06:00"})
    decision = decide(rules, at("2026-06-10T03:00"))
    assert (decision.window, decision.ends) == ("long", at("2026-06-10T06:00"))


def test_the_next_opening_is_told_in_the_windows_own_time():
    rules = calendar({**NIGHT, "days": "sun", "timezone": NEW_YORK})
    reason = decide(rules, at("2026-03-07T12:00")).reason
    assert reason == "outside every maintenance window; night opens Sun 2026-03-08 03:00 EDT"


def test_a_window_that_never_opens_again_is_said_to():
    rules = calendar({"rrule": "FREQ=DAILY;UNTIL=20200101T000000Z", "duration": "1h"})
    assert "none opens in the next 400 days" in decide(rules, at("2026-06-10T12:00")).reason


def test_a_freeze_closes_and_one_ahead_cuts_the_deadline():
    freeze = [{"from": "2026-06-10T03:00", "to": "2026-06-12", "reason": "exams"}]
    rules = calendar(NIGHT, freezes=freeze)
    before = decide(rules, at("2026-06-10T02:30"))
    assert (before.allowed, before.ends) == (True, at("2026-06-10T03:00"))
    assert before.reason == "window night is cut short by a freeze at Wed 2026-06-10 03:00 CEST"
    inside = decide(rules, at("2026-06-12T02:30"))
    assert (inside.allowed, inside.reason) == (False, "frozen until Sat 2026-06-13 00:00 CEST: exams")
    assert decide(rules, at("2026-06-13T02:30")).allowed
    assert decide(calendar(freezes=freeze), at("2026-06-10T02:30")).ends == at("2026-06-10T03:00")


def test_no_window_opens_on_a_holiday_but_one_from_the_evening_before_goes_on():
    rules = calendar({"start": "22:00", "end": "03:00"}, holidays=["2026-12-25"])
    assert decide(rules, at("2026-12-24T23:00")).ends == at("2026-12-25T03:00")
    assert decide(rules, at("2026-12-25T02:00")).allowed
    assert not decide(rules, at("2026-12-25T23:00")).allowed
    assert not decide(rules, at("2026-12-26T02:00")).allowed
    assert decide(rules, at("2026-12-26T23:00")).allowed


def test_a_holiday_is_a_day_of_the_windows_own_zone():
    rules = calendar({"start": "01:00", "end": "05:00", "timezone": "Asia/Kathmandu"}, holidays=["2026-12-25"])
    assert decide(rules, at("2026-12-24T02:00", "Asia/Kathmandu")).allowed
    assert not decide(rules, at("2026-12-24T21:00", "UTC")).allowed


def test_an_override_opens_everything_and_says_so():
    rules = calendar(
        NIGHT,
        freezes=[{"from": "2026-06-10", "to": "2026-06-10", "reason": "exams"}],
        override_reason="disk full",
        override_by="ops",
    )
    decision = decide(rules, at("2026-06-10T12:00"))
    assert (decision.allowed, decision.overridden, decision.reason) == (True, True, "override: disk full")


minutes = st.integers(min_value=0, max_value=24 * 60 - 1)
moments = st.integers(min_value=0, max_value=366 * 24 * 60).map(
    lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
)


@given(
    start=minutes, end=minutes, days=st.sets(st.integers(0, 6), min_size=1), zone=st.sampled_from(ZONES), now=moments
)
def test_whoever_asks_is_answered_by_the_clock_on_the_wall(start, end, days, zone, now):
    """A moment inside reads a local time that the rule names, on a day it names; and the end is where it ceases."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    window = {
        "start": f"{start // 60:02d}:{start % 60:02d}",
        "end": f"{end // 60:02d}:{end % 60:02d}",
        "days": [names[day] for day in days],
    }
    rules = calendar(window, zone=zone)
    decision = decide(rules, now)
    local = now.astimezone(ZoneInfo(zone))
    minute, day = local.hour * 60 + local.minute, local.weekday()
    if start < end:
        named = start <= minute < end and day in days
    else:
        named = (minute >= start and day in days) or (minute < end and (day - 1) % 7 in days)
    ambiguous = {zoned.utcoffset() for zoned in (local, local.replace(fold=1 - local.fold))}
    if decision.allowed:
        assert named or len(ambiguous) > 1
        assert decision.ends > now
        assert decision.ends <= now + timedelta(hours=25)
    elif len(ambiguous) == 1:
        changed = {(now + timedelta(hours=step)).astimezone(ZoneInfo(zone)).utcoffset() for step in (-24, 24)}
        assert not named or len(changed) > 1


@given(now=moments, zone=st.sampled_from(ZONES), length=st.integers(1, 300))
def test_the_spans_of_a_rule_and_the_decision_agree(now, zone, length):
    rules = calendar({"rrule": "FREQ=DAILY;BYHOUR=1,2,13;BYMINUTE=30", "duration": f"{length}m"}, zone=zone)
    spans = []
    for span in rules.windows[0].spans(now, frozenset()):
        spans.append(span)
        if span.start > now:
            break
    assert decide(rules, now).allowed is any(span.holds(now) for span in spans)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert all(span.end > now for span in spans)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1 d", 86400), ("1h 30min", 5400), ("7d", 604800)],
)
def test_durations(raw, expected):
    assert parse_duration(raw, option="o").total_seconds() == expected


@pytest.mark.parametrize("raw", ["", "0h", "8d", "2", "-1h", "2x", "h", None, 5, 2.5, True, [], {}, "٣h"])
def test_other_durations_are_refused(raw):
    with pytest.raises(OptionError, match=r"^Option 'o' is .*must be a duration such as 2h"):
        parse_duration(raw, option="o")


def test_moments_are_dates_times_and_texts():
    zone = ZoneInfo(BERLIN)
    midnight = at("2026-06-10T00:00")
    for raw in ("2026-06-10", date(2026, 6, 10), " 2026-06-10T00:00 ", "2026-06-09T22:00:00+00:00", midnight):
        assert parse_moment(raw, zone=zone, end_of_day=False, option="o") == midnight
    assert parse_moment("2026-06-10", zone=zone, end_of_day=True, option="o") == at("2026-06-11T00:00")
    # The missing hour has one moment: that of the change.
    assert parse_moment("2026-03-29T02:30", zone=zone, end_of_day=False, option="o") == at("2026-03-29T03:00")


@pytest.mark.parametrize("raw", ["9999-12-31", date.max, MAX, MIN, "0001-01-01", "soon", 7, None, []])
def test_moments_beyond_the_calendar_are_refused_in_a_sentence(raw):
    with pytest.raises(OptionError, match=r"^Option 'o' is .* must be a date such as"):
        parse_moment(raw, zone=ZoneInfo("Pacific/Kiritimati"), end_of_day=True, option="o")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=HOURLY;COUNT=5",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;BYHOUR=2",
        "FREQ=WEEKLY;BYHOUR=2",
        "FREQ=DAILY;INTERVAL=2",
        "FREQ=DAILY;COUNT=3",
        "FREQ=SOMETIMES",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;BYHOUR=25",
        "DTSTART:20260101T000000\nRRULE:FREQ=DAILY",
        "FREQ=DAILY;;",
        "every day",
        "",
    ],
)
def test_rules_that_cannot_be_meant_are_refused_in_a_sentence(rule):
    with pytest.raises(OptionError, match=r"^Option 'maintenance_windows\[0\]\.(rrule|start_date)' is .* must be "):
        parse_windows([{"rrule": rule, "duration": "1h"}], default_zone="UTC")


@given(st.text(alphabet="FREQ=DAILYWKBMONTH;,0123456789+-SU", max_size=40))
def test_no_rule_ends_in_a_traceback(rule):
    with suppress(OptionError):
        parse_windows([{"rrule": f"FREQ=DAILY;{rule}", "duration": "1h"}], default_zone="UTC")
