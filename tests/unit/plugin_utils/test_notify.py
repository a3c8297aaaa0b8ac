# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import logging
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Change
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.notify import (
    BACKOFF,
    Notice,
    Notices,
    due_again,
    post,
)
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, Stopped, finding, view

RUN = RunInfo("run", "daily", AT, "2026-03-02T02:00:00Z", "controller", False, ())
NOTICE = Notice("ops", "Daily maintenance: 1 new", "New (1)\n- critical: web-1")


def changed(seen, kind, before="ok"):
    for entry in seen.entries:
        entry.change = Change(kind, AT, before)
    return seen


def compose(*views, contacts=("ops",), digest=False, remind_hours=0, looks=()):
    fleet = Fleet(RUN)
    notices = Notices({owner: ["json://nowhere"] for owner in contacts}, remind_hours=remind_hours, now=AT)
    for seen in views:
        notices.add(seen, looks=looks)
        fleet.add(seen)
    return {notice.owner: notice for notice in notices.compose(fleet, digest=digest, report="/r/report.html")}


def owned(status, owner="ops", **more):
    return finding(status=status, owners=[owner], **more)


def test_a_new_alarm_is_told_to_its_owner_alone():
    told = compose(changed(view(owned("critical")), "new"), contacts=("ops", "dba"))
    assert list(told) == ["ops"]
    assert told["ops"].subject == "Daily maintenance: 1 new"
    assert "- critical: web-1, host.memory ram" in told["ops"].body
    assert "Report: /r/report.html" in told["ops"].body


def test_what_has_not_changed_is_not_told_again():
    assert compose(changed(view(owned("critical")), "unchanged", "critical")) == {}


def test_resolved_is_told_when_it_was_an_alarm():
    assert "Resolved (1)" in compose(changed(view(owned("ok")), "resolved", "critical"))["ops"].body
    assert compose(changed(view(owned("ok")), "resolved", "info")) == {}


def test_no_longer_looked_at_is_not_resolved():
    body = compose(changed(view(owned("skipped")), "unseen", "critical"))["ops"].body
    assert "No longer looked at (1)" in body
    assert "Resolved" not in body


def test_info_is_no_reason_to_write():
    assert compose(changed(view(owned("info")), "new")) == {}


def test_suppressed_is_silent():
    known = {"owner": "ops", "reason": "known", "until": "2026-12-31"}
    assert compose(changed(view(owned("critical", suppressed=known)), "new")) == {}


def test_a_dead_host_is_one_cause_and_hides_the_rest():
    seen = view(
        owned("critical", check="maintenance.reachable", item="web-1"),
        *(owned("unknown", item=str(number)) for number in range(30)),
        unreachable=True,
    )
    told = compose(changed(seen, "new"))["ops"]
    assert told.subject == "Daily maintenance: 1 new"


def test_what_nobody_owns_goes_to_everyone():
    told = compose(changed(view(finding(status="critical")), "new"), contacts=("ops", "*"))
    assert list(told) == ["*"]
    assert compose(changed(view(finding(status="critical")), "new")) == {}


HOUR = 3600


def standing(status, *, hours):
    """A host with one finding that has been so for some hours."""
    seen = view(owned(status))
    seen.entries[0].change = Change("unchanged", AT - int(hours * HOUR), status)
    return seen


@pytest.mark.parametrize(
    ("remind", "looks", "told"),
    [
        (24, [24], True),
        (24, [12], False),
        (24, [30, 6], False),
        (24, [30, 20], True),
        (36, [72, 48, 24], False),
        (36, [96, 72, 48, 24], True),
        # A host that was not looked at for a while is told of once.
        (24, [240, 200], True),
        # Runs do not begin to the second, and an hour is lost in spring.
        (24, [23], True),
        (0, [240, 24], False),
    ],
)
def test_an_alarm_that_stays_is_told_again_after_so_many_hours(remind, looks, told):
    times = [AT - hours * HOUR for hours in looks]
    composed = compose(standing("critical", hours=looks[0]), remind_hours=remind, looks=times)
    assert bool(composed) is told
    if told:
        assert composed["ops"].subject == "Daily maintenance: 1 still there"
        assert "Still there (1)\n- critical: web-1" in composed["ops"].body


def test_only_alarms_are_told_again_and_only_where_an_earlier_look_is_known():
    assert compose(standing("info", hours=24), remind_hours=24, looks=[AT - 24 * HOUR]) == {}
    assert compose(standing("critical", hours=24), remind_hours=24) == {}


@given(
    remind=st.integers(1, 200),
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=40),
)
def test_reminders_come_neither_sooner_nor_later_than_the_runs_allow(remind, gaps):
    # The alarm begins with the first run; each gap of hours ends in a run that finds it unchanged.
    looks, last = [0], 0
    for gap in gaps:
        now = looks[-1] + gap * HOUR
        if due_again(looks, since=0, now=now, hours=remind):
            assert now - last > 0.9 * remind * HOUR
            last = now
        else:
            assert now - last < remind * HOUR
        looks.append(now)


def test_a_digest_goes_to_all_owners_and_says_how_things_stand():
    told = compose(changed(view(owned("critical")), "unchanged", "critical"), contacts=("ops", "dba"), digest=True)
    assert "Needs attention (1)" in told["ops"].body
    assert "Nothing that you own needs attention." in told["dba"].body


def test_the_first_run_tells_what_is_wrong():
    assert "Needs attention (1)" in compose(changed(view(owned("critical")), "first", ""))["ops"].body


def test_a_long_list_is_cut_and_counted():
    told = compose(changed(view(*(owned("critical", item=str(number)) for number in range(60))), "new"))["ops"]
    assert "- and 35 more" in told.body
    assert told.subject == "Daily maintenance: 60 new"


# --- sending -----------------------------------------------------------------------------------------------------


def test_tried_again_with_pauses_until_it_is_taken():
    clock, answers = Stopped(), iter([False, False, True])
    (sent,) = post([NOTICE], {"ops": ["json://x"]}, send=lambda *_message: next(answers), clock=clock)
    assert sent == {"owner": "ops", "contact": 1, "service": "json", "sent": True, "attempts": 3}
    assert clock.slept == [0.0, *BACKOFF]


def test_a_sender_that_breaks_neither_stops_the_others_nor_tells_the_address():
    def send(address, _subject, _body):
        if "bad" in address:
            raise RuntimeError(f"cannot reach {address}")
        return True

    addresses = {"ops": ["json://user:hunter2@bad", "json://good"]}
    lost, sent = post([NOTICE], addresses, send=send, clock=Stopped())
    assert not lost["sent"]
    assert lost["attempts"] == 3
    assert lost["error"] == "the sender failed (RuntimeError)"
    assert sent["sent"]
    assert "hunter2" not in json.dumps([lost, sent])


def test_nobody_to_tell_is_nothing_to_do():
    assert post([], {}, clock=Stopped()) == []


@contextmanager
def http_sink(statuses):
    """An HTTP server that answers with these statuses in turn and keeps what it is sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_arguments):
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        server.server_close()


def test_apprise_delivers_to_a_webhook_after_it_has_failed_twice():
    with http_sink([500, 503]) as (port, received):
        (sent,) = post([NOTICE], {"ops": [f"json://127.0.0.1:{port}/hook"]}, clock=Stopped())
    assert (sent["sent"], sent["attempts"]) == (True, 3)
    assert received[-1]["title"] == NOTICE.subject
    assert received[-1]["message"] == NOTICE.body


class MailSink(socketserver.ThreadingTCPServer):
    """A mail server that takes everything."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), MailSession)
        self.lines: list[str] = []


class MailSession(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as it takes to be sent a message."""

    server: MailSink

    def handle(self):
        self.wfile.write(b"220 sink\r\n")
        in_data = False
        for raw in self.rfile:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if in_data:
                in_data = line != "."
                if in_data:
                    self.server.lines.append(line)
                else:
                    self.wfile.write(b"250 taken\r\n")
                continue
            verb = line[:4].upper()
            in_data = verb == "DATA"
            answer = {"DATA": b"354 go on", "QUIT": b"221 bye", "EHLO": b"250 sink"}.get(verb, b"250 fine")
            self.wfile.write(answer + b"\r\n")
            if verb == "QUIT":
                return


def test_apprise_delivers_mail():
    with MailSink() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        people = "from=maintenance@example.org&to=ops@example.org"
        address = f"mailto://127.0.0.1:{server.server_address[1]}?{people}&mode=insecure"
        (sent,) = post([NOTICE], {"ops": [address]}, clock=Stopped())
        server.shutdown()
    assert sent["sent"], sent
    assert any(line == f"Subject: {NOTICE.subject}" for line in server.lines)


def test_an_address_that_apprise_does_not_know_is_not_tried_again_and_not_told(caplog):
    caplog.set_level(logging.DEBUG)
    (lost,) = post([NOTICE], {"ops": ["nosuch://user:hunter2@example.org"]}, clock=Stopped())
    assert lost["attempts"] == 1
    assert lost["error"] == "Apprise does not understand the URL."
    assert "hunter2" not in json.dumps(lost) + caplog.text


def test_a_closed_port_is_told_without_the_address(caplog):
    caplog.set_level(logging.DEBUG)
    (lost,) = post([NOTICE], {"ops": ["json://user:hunter2@127.0.0.1:1/"]}, clock=Stopped())
    assert not lost["sent"]
    assert lost["attempts"] == 3
    assert "hunter2" not in json.dumps(lost) + caplog.text
