# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import settings

FREEZE = {"from": "2026-01-01", "to": "2026-01-02", "reason": "exams"}
SUPPRESSION = {"check": "host.*", "owner": "ops", "reason": "known", "until": "2026-06-30"}
WINDOW = {"start": "02:00", "end": "03:00"}
RULE = {"rrule": "FREQ=DAILY", "duration": "1h"}


def _within(entry: dict[str, str], key: str, junk: object) -> list[dict[str, object]]:
    return [{**entry, key: junk}]


#: What is right in every place where a value stands; everything else of JUNK must end in a sentence.
_TIMES = (date(2026, 1, 1), datetime.fromisoformat("2026-01-01T00:00"))
_LISTS = ([], ["x"], [[]], [None], [{}], [{"x": {}}], [3])
JUNK: tuple[object, ...] = (
    *(0, 1, -1, 2.5, float("nan"), True, False, "", " ", "junk", b"x", "\x1b[31m", "x" * 100_000),
    *({}, {"x": 1}, {1: 2}),
    *_LISTS,
    *_TIMES,
)
PLACES: dict[str, Callable[[object], object]] = {
    "maintenance_levels": lambda junk: junk,
    "maintenance_levels.host.memory": lambda junk: {"host.memory": junk},
    "maintenance_levels.host.memory.warning": lambda junk: {"host.memory": {"warning": junk}},
    "maintenance_levels.host.memory[*].for": lambda junk: {"host.memory[*]": {"for": junk}},
    "maintenance_windows": lambda junk: junk,
    "maintenance_windows[1]": lambda junk: [WINDOW, junk],
    **{
        f"maintenance_windows[0].{key}": partial(_within, WINDOW, key)
        for key in ("name", "days", "start", "end", "timezone", "duration", "x")
    },
    **{
        f"maintenance_windows[0].{key} of a rule": partial(_within, RULE, key)
        for key in ("rrule", "start_date", "duration", "timezone", "days")
    },
    "maintenance_timezone": lambda junk: junk,
    "maintenance_freezes": lambda junk: junk,
    **{
        f"maintenance_freezes[0].{key}": partial(_within, FREEZE, key)
        for key in ("from", "to", "reason", "timezone", "x")
    },
    "maintenance_holidays": lambda junk: junk,
    "maintenance_holidays[0]": lambda junk: [junk],
    "maintenance_holidays[0].date": lambda junk: [{"date": junk}],
    "maintenance_override": lambda junk: junk,
    "maintenance_override.reason": lambda junk: {"reason": junk},
    "maintenance_override.by": lambda junk: {"reason": "fire", "by": junk},
    "maintenance_suppressions": lambda junk: junk,
    **{
        f"maintenance_suppressions[0].{key}": partial(_within, SUPPRESSION, key)
        for key in (*SUPPRESSION, "item", "x")
    },
    "maintenance_owners": lambda junk: junk,
    "maintenance_owners.host.*": lambda junk: {"host.*": junk},
    "maintenance_contacts": lambda junk: junk,
    "maintenance_contacts.ops": lambda junk: {"ops": junk},
    **{
        name: lambda junk: junk
        for name in (
            "maintenance_on_failure", "maintenance_reports_dir", "maintenance_store_url", "maintenance_fail_on",
            "maintenance_cadence", "maintenance_state_dir", "maintenance_consumer",
            "maintenance_notify_remind_hours",
        )
    },
}  # fmt: skip


def parse(**given):
    return settings.parse(given, working_directory=Path("/srv/site"), environment={"USER": "someone"})


def test_nothing_set_is_the_defaults():
    plain = parse()
    assert plain.reports == Path("/srv/site/reports")
    assert plain.journal == Path("/srv/site/reports/journal")
    assert (plain.on_failure, plain.fail_on, plain.cadence, plain.state_dir) == ("error", "critical", "", None)
    assert plain.levels == {}
    assert plain.remind_hours == 0
    assert parse(maintenance_notify_remind_hours="24").remind_hours == 24
    assert plain.calendar.windows == ()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_junk_in_any_place_is_taken_or_told_in_one_sentence(place, junk):
    name = re.split(r"[.\[]", place)[0]
    try:
        parse(**{name: PLACES[place](junk)})
    except OptionError as error:
        sentence = str(error)
        assert sentence.startswith(f"Option '{name}")
        assert sentence.endswith((".", "?"))
        assert re.search(" is .*, but must be | is not known; (known are|did you mean) ", sentence)
        assert len(sentence) < 1000
        assert not re.search(r"[\x00-\x1f\x7f]", sentence)


@given(
    name=st.sampled_from(sorted(settings.NAMES | {"maintenance_levels_site"})),
    junk=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["check", "from", "to", "until", "reason", "start", "end", "rrule", "date", "by", "x"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=8,
    ),
)
def test_no_junk_ends_in_a_traceback(name, junk):
    with suppress(OptionError):
        parse(**{name: junk})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"maintenance_on_failure": "ignore"}, "Option 'maintenance_on_failure' is 'ignore', but must be one of error"),
        ({"maintenance_timezone": 0}, "Option 'maintenance_timezone' is 0, but must be a text."),
        ({"maintenance_timezone": "CET/Nowhere"}, "must be a time zone such as Europe/Berlin or UTC."),
        ({"maintenance_timezone": "../../etc/passwd"}, "must be a time zone such as Europe/Berlin or UTC."),
        ({"maintenance_windows": [{"start": "02:00", "until": "03:00"}]}, "Option 'maintenance_windows[0].until' is"),
        ({"maintenance_windows": [{**WINDOW, "days": []}]}, "Option 'maintenance_windows[0].days' is [], but"),
        ({"maintenance_windows": [{**WINDOW, "days": "monkey"}]}, "must be days such as mon-fri,sun."),
        ({"maintenance_freezes": [{**FREEZE, "to": "2025-12-31"}]}, "must be later than from."),
        ({"maintenance_levels": {"hosts.memory": {}}}, "Option 'maintenance_levels.hosts.memory' is 'hosts.memory'"),
        (
            {"maintenance_levels": {"host.memory": {"warn": 3}}},
            "host.memory.warn' is not known; did you mean 'warning'",
        ),
        (
            {"maintenance_notify_remind_hours": "often"},
            "'maintenance_notify_remind_hours' is 'often', but must be a whole number of hours from 0 (never) to 8760.",
        ),
        ({"maintenance_notify_remind_hours": -1}, "is -1, but must be a whole number of hours"),
        ({"maintenance_notify_remind_hours": True}, "is True, but must be a whole number of hours"),
        ({"maintenance_notify_remind_hours": 1.5}, "is 1.5, but must be a whole number of hours"),
        ({"maintenance_override": {"by": "me"}}, "must be a mapping with the reason, and by"),
        ({"maintenance_override": ""}, "must be a mapping with the reason, and by"),
    ],
)
def test_sentences_name_the_variable_the_value_and_what_would_be_right(given, sentence):
    with pytest.raises(OptionError) as caught:
        parse(**given)
    assert sentence in str(caught.value)


def test_a_secret_is_not_in_the_sentence_about_it():
    for secret in (
        {"maintenance_contacts": {"ops": ["hunter2"]}},
        {"maintenance_contacts": ["json://u:hunter2@x"]},
        {"maintenance_store_url": ["postgresql://u:hunter2@db/x"]},
    ):
        with pytest.raises(OptionError) as caught:
            parse(**secret)
        assert "hunter2" not in str(caught.value)


def test_levels_merge_in_the_order_of_names_level_by_level():
    merged = parse(
        maintenance_levels_b={"host.memory": {"critical": 99}, "web.status": {"for": 2}},
        maintenance_levels={"host.memory": {"warning": 70, "critical": 80}, "host.disk_bytes[/var*]": {"warning": 1}},
        maintenance_levels_a={"host.memory": {"warning": 90}},
        maintenance_levels_c=None,
    ).levels
    assert merged == {
        "host.memory": {"warning": 90, "critical": 99},
        "host.disk_bytes[/var*]": {"warning": 1},
        "web.status": {"for": 2},
    }


def test_levels_that_fall_are_as_good_as_levels_that_rise():
    falling = {"services.unit_restarts": {"warning": 30, "critical": 7}}
    assert parse(maintenance_levels=falling).levels == falling


def test_a_misspelt_variable_is_told_and_other_peoples_variables_are_left_alone():
    for name in ("maintenance_window", "maintenance_freeze", "maintenance_report_dir", "maintenance_level"):
        with pytest.raises(OptionError, match=f"Option '{name}' is not known; did you mean 'maintenance_"):
            settings.refuse_misspelt([name])
    settings.refuse_misspelt(
        ["maintenance_windows", "maintenance_levels_site", "maintenance_hosts", "maintenance_discovered", "windows"]
    )


def test_only_our_own_variables_are_templated():
    seen: list[object] = []

    def template(value):
        seen.append(value)
        return value

    settings.gather(
        {"maintenance_owners": 1, "maintenance_levels_x": 2, "maintenance_discovered": "{{ evil }}", "x": 3},
        template,
    )
    assert seen == [2, 1]


def test_paths_are_from_the_working_directory_and_the_home():
    assert parse(maintenance_reports_dir="out").reports == Path("/srv/site/out")
    assert parse(maintenance_reports_dir="/srv/out").reports == Path("/srv/out")
    assert parse(maintenance_reports_dir="~/out").reports == Path.home() / "out"
    # This one lies on the host, whose home is another.
    assert parse(maintenance_state_dir="~/state").state_dir == "~/state"


def test_the_override_says_who():
    calendar = parse(maintenance_override={"reason": "disk full"}).calendar
    assert (calendar.override_reason, calendar.override_by) == ("disk full", "someone")


@given(controller=st.text(max_size=200), host=st.text(max_size=300))
def test_every_consumer_is_a_name_that_state_takes_and_no_two_hosts_share_it(controller, host):
    name = parse(maintenance_consumer=controller.replace("\0", "")).consumer
    own = settings.consumer_of(name, host)
    assert State(directory=Path("/x"), module="m", consumer=own).path.parent == Path("/x")
    assert own != settings.consumer_of(name, host + "x")


def test_an_awx_job_is_one_consumer_whatever_its_container_is_called():
    plain = settings.parse({}, working_directory=Path("/srv/site"), environment={"AWX_HOST": "https://awx"})
    assert plain.consumer == "awx"
