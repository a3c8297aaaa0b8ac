# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as an error, what is the same error, and which lines belong together."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import example as shown
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import traces
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import (
    MOST_TEMPLATES,
    Digest,
    Wanted,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import (
    FORMATS,
    Entry,
    Format,
    recognise,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.scan import digest_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import Level, own_level
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.templates import example, template

NGINX = b"2026/03/02 10:00:00 [error] 31#31: *7 connect() failed (111: Connection refused), client: 203.0.113.9"


def review(text: str | bytes, *, form: str | None = None, wanted: Wanted | None = None) -> Digest:
    data = text if isinstance(text, bytes) else text.encode()
    return digest_of(iter([data] if data else []), FORMATS[form] if form else None, wanted or Wanted())


def kinds(digest: Digest) -> dict[str, int]:
    return {text: kind.count for text, kind in digest.kinds.items()}


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (NGINX, "error"),
        (b"2026/03/02 10:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed", "fatal"),
        (b"[Wed Nov 25 10:00:00.1 2026] [proxy:error] [pid 7] AH00957: attempt to connect failed", "error"),
        (b"2026-11-25 10:00:00.123 UTC [88] app@shop ERROR:  deadlock detected", "error"),
        (b"2026-11-25 10:00:00.123 UTC [88] LOG:  checkpoint complete: 0 errors", "low"),
        (b"2026-11-25T10:00:00.000000Z 0 [ERROR] [MY-010119] [Server] Aborting", "error"),
        (b"2026-11-25 10:00:00,1 ERROR c.e.Shop - failed", "error"),
        (b'time="2026-11-25T10:00:00Z" level=error msg="no such host"', "error"),
        (b"E1125 10:00:00.000000       1 server.go:7] refused", "error"),
        (b"Nov 25 10:00:00 web sshd[9]: error: kex_exchange_identification: read", "error"),
        (b"Nov 25 10:00:00 web sshd[9]: fatal: Timeout before authentication", "fatal"),
        (b"Error: Cannot find module 'express'", "error"),
        (b"panic: runtime error: index out of range", "fatal"),
        (b"Traceback (most recent call last):", "error"),
        (b"java.lang.IllegalStateException: no session", "error"),
        (b"[ 12.345678] shop[77]: segfault at 0 ip 0000 sp 0000", "fatal"),
        (b"Out of memory: Killed process 77 (shop)", "fatal"),
        (b"[ 12.3] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2", "error"),
        (b"[ 12.3] blk_update_request: I/O error, dev sda, sector 12345", "error"),
        (b"[ 12.3] BTRFS error (device sda1): bdev /dev/sda1 errs: wr 1", "error"),
        (b"[ 12.3] XFS (dm-0): metadata I/O error in xfs_imap", "error"),
        (b"[ 12.3] BUG: unable to handle kernel NULL pointer dereference at 8", "fatal"),
        (b"[2026-11-25 10:00:00] production.ERROR: SQLSTATE[HY000]", "error"),
        (b"[2026-11-25T10:00:00.1+00:00] request.CRITICAL: Uncaught PHP Exception", "fatal"),
        (b"[2026-11-25 10:00:00] production.INFO: retry after ERROR from upstream", "low"),
        (b"fail: Microsoft.AspNetCore.Server.Kestrel[13]", "error"),
        (b"thread 'main' panicked at src/main.rs:2:5:", "fatal"),
        (b"terminate called after throwing an instance of 'std::runtime_error'", "fatal"),
        (b"INFO I/O error on the first try, trying again", "low"),
        (b"should not fail: it is tried again", None),
        (b"finished with 0 errors", None),
        (b"no error: all is well", None),
        (b"last error: none", None),
        (b"INFO retry after ERROR from upstream", "low"),
        (b"GET /docs/error/fatal/panic.html", None),
        (b'203.0.113.9 - - [02/Mar/2026:10:00:00 +0000] "GET /x?level=error&q=[error] HTTP/1.1" 500 7 "-" "-"', None),
        (b"terror and preferred referrers", None),
        (b"deprecated: use --fatal-warnings", None),
        (b"STATUS=ERROR/OK", None),
        (b"\xff\xfe\x00 ERROR \x9c\x1b[31m", "error"),
        (b"", None),
    ],
)
def test_a_line_has_the_level_that_it_gives_itself(line: bytes, level: str | None) -> None:
    assert own_level(line) == level


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (NGINX, "[error] <n>#<n>: *<n> connect() failed (<n>: Connection refused), client: <address>"),
        (b"Nov 25 10:00:00 web01 app[812]: no user 'bob' in /srv/app/users/7.json", "app[<n>]: no user <text> in <path>"),
        (b"2026-11-25T10:00:00.5+01:00 order 3f2b8c1e-1111-2222-3333-444455556666 of a.b@example.org failed",
         "order <uuid> of <email> failed"),
        (b'at 0xdeadbeef: "SELECT 1" took 12.5 s on [2001:db8::7]:5432', "at <hex>: <text> took <n> s on [<address>]:<n>"),
        (b"fetch https://user:pw@example.org/a?b=c failed", "fetch <url> failed"),
        (b"session 9f86d081884c7d659a2feaa0c55ad015 lost", "session <hex> lost"),
        (b"can't open it, isn't there", "can't open it, isn't there"),
        (b"token=abcdefghijklmnop", "token=***"),
        (b"temporary file of size 314572800, and of 12", "temporary file of size <n>, and of <n>"),
        (b"object 12345678a and 1234567890ab", "object <hex> and <hex>"),
        (b"last known up at 2026-11-25 15:17:28 UTC from ::1", "last known up at <n>-<n>-<n> <n> UTC from <address>"),
    ],
)  # fmt: skip
def test_what_changes_goes_out_of_a_template(line: bytes, wanted: str) -> None:
    assert template(line) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"Duplicate entry 'Conan O'Brien' for key 'name'", "Duplicate entry <text> for key <text>"),
        (b"note='%s' AND name='Bob'" % (b"s" * 501), "note=<text> AND name=<text>"),
        (b"note='%s' AND name='Bob'" % (b"s" * 2500), "note=<text>"),
        (b'body "%s" refused' % (b"s" * 501), "body <text> refused"),
        (b"IN ('O''Brien','x'), E'a\\'b', N'c'", "IN (<text>,<text>), E<text>, N<text>"),
        (b"name = $$John Smith$$ AND note = $x$a $$ b$x$ failed", "name = <text> AND note = <text> failed"),
        (b"can't read '/srv/a', isn't 'there'", "can't read <text>, isn't <text>"),
        (b"paid $5 and $6$ today", "paid $<n> and $<n>$ today"),
        (b"SECRET_KEY: topsecret is short", "SECRET_KEY: *** is short"),
        (b"api_key_old=abc, key: def", "api_key_old=***, key: ***"),
        (b"token abcDEFghi expired", "token *** expired"),
        (b"login with password hunter2 failed", "login with password *** failed"),
        (b"unexpected token in line 7", "unexpected token in line <n>"),
        (b"password authentication failed for user 'bob'", "password authentication failed for user <text>"),
        (b"token expired, no key there", "token expired, no key there"),
        (b"Key (name, card)=(John (Jr) Smith, 4111) already exists.", "Key (name, card)=(<text>) already exists."),
        (b"Key (lower(name::text))=(bob) already exists.", "Key (lower(name::text))=(<text>) already exists."),
        (b"Failing row contains (7, John Smith).", "Failing row contains (<text>)."),
        (b"STATEMENT:  select name from tickets where secret", "STATEMENT: <statement>"),
        (b"LOG: duration: 12.5 ms  execute <unnamed>: select smith", "LOG: duration: <n> ms execute <unnamed>: <statement>"),
        (b"DETAIL: Failed process was running: select smith", "DETAIL: Failed process was running: <statement>"),
    ],
)  # fmt: skip
def test_what_is_personal_or_secret_goes_out_of_a_template(line: bytes, wanted: str) -> None:
    assert template(line) == wanted


def test_a_statement_is_not_shown_although_it_is_included() -> None:
    text = CSV.format(severity="LOG", state="00000", message="statement: select smith from tickets")
    digest = review(text, wanted=Wanted(include=[re.compile(b"tickets")], examples=True))
    (kind,) = list(digest.kinds.values())
    assert (kind.text, kind.example) == ("LOG: statement: <statement>", "LOG: statement: <statement>")


def test_a_row_below_an_exception_is_not_shown() -> None:
    text = (
        "[error] Internal Server Error: /signup\nTraceback (most recent call last):\n"
        '  File "/app/x.py", line 3, in save\n    cur.execute(q)\n'
        "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint\n"
        "DETAIL:  Key (name)=(John Smith) already exists.\n"
    )
    digest = review(text, wanted=Wanted(examples=True))
    (kind,) = list(digest.kinds.values())
    assert "UniqueViolation: duplicate key value" in kind.text
    assert "John" not in kind.text + kind.example


def test_an_example_has_no_secret_and_no_mail_address() -> None:
    text = example(b"login of bob@example.org with password=hunter2 failed \x1b[31m")
    assert text == "login of <email> with password=*** failed"


@given(st.binary(max_size=400))
def test_any_bytes_have_a_template_and_it_is_one_clean_line(line: bytes) -> None:
    text = template(line)
    assert text == re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text)
    assert own_level(line) in (None, "low", "warning", "error", "fatal")


def test_the_same_error_is_one_kind() -> None:
    lines = b"".join(
        NGINX.replace(b"203.0.113.9", b"198.51.100.%d" % n).replace(b"*7", b"*%d" % n) + b"\n" for n in range(99)
    )
    assert kinds(review(lines)) == {
        "[error] <n>#<n>: *<n> connect() failed (<n>: Connection refused), client: <address>": 99
    }


PYTHON = """\
2026-11-25 10:00:00 ERROR in app: Exception on /book [POST]
Traceback (most recent call last):
  File "/srv/app/views.py", line 118, in book
    return self.store.book(room=7)
  File "/srv/app/store.py", line 64, in book
    raise Conflict("taken")
rooms.Conflict: room 7 is taken
2026-11-25 10:00:01 INFO next
"""
JAVA = """\
2026-11-25 10:00:00,1 ERROR [main] c.e.Shop - cannot start
java.lang.IllegalStateException: no session 12
\tat com.example.Shop.start(Shop.java:12)
\tat com.example.Main.main(Main.java:3)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 12 more
2026-11-25 10:00:01,1 INFO [main] next
"""
NODE = """\
Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
    at async Pool.query (/srv/app/pool.js:7:3)
listening again
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/srv/app/main.go:8 +0x1d
exit status 2
"""


JAVA_CAUSE = "Caused by: java.net.ConnectException: Connection refused in com.example.Shop.start"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (PYTHON, "ERROR in app: Exception on /book [POST] | rooms.Conflict: room <n> is taken in store.py book"),
        (JAVA, f"ERROR [main] c.e.Shop - cannot start | {JAVA_CAUSE}"),
        (NODE, "Error: connect ECONNREFUSED <address> in TCPConnectWrap.afterConnect [as oncomplete]"),
        (GO, "panic: runtime error: index out of range [<n>] with length <n>"),
    ],
)  # fmt: skip
def test_a_stack_trace_is_one_event_with_its_head(text: str, wanted: str) -> None:
    assert kinds(review(text * 3)) == {wanted: 3}


def test_traces_keep_together_across_blocks() -> None:
    lines = (PYTHON * 5).encode().splitlines(keepends=True)
    digest = digest_of(iter(lines), None, Wanted())
    assert [kind.count for kind in digest.kinds.values()] == [5]


def test_traces_keep_together_behind_the_prefix_of_a_syslog_daemon() -> None:
    text = "".join(f"Nov 25 10:00:0{n % 10} web app[7]: {line}\n" for n, line in enumerate(PYTHON.splitlines()))
    assert list(review(text).levels.values()) == [1]
    other = text.splitlines(keepends=True)
    other.insert(4, "Nov 25 10:00:04 web cron[9]: (root) CMD (true)\n")
    assert sum(review("".join(other)).levels.values()) >= 1


def test_busybox_writes_the_severity_in_front_of_the_program() -> None:
    lines = [
        b"Jun  4 09:24:12 alpine auth.err getty[1906]: tcgetattr: I/O failure",
        b"Jun  4 09:24:13 alpine auth.err getty[1907]: tcgetattr: I/O failure",
        b"Jun  4 09:24:14 alpine daemon.info crond[12]: USER root pid 7 cmd run-parts /etc/periodic/daily",
        b"Jun  4 09:24:15 alpine user.crit shop: no room left",
        b"Jun  4 09:24:16 alpine daemon.info shop: ERROR cannot book",
    ]
    digest = review(b"".join(line + b"\n" for line in lines))
    assert kinds(digest) == {"tcgetattr: I/O failure": 2, "no room left": 1, "ERROR cannot book": 1}
    assert digest.levels == {"error": 3, "fatal": 1}


_FLOOD = [
    NGINX, NGINX.replace(b"*7", b"*8"), b"[error] other 7", b"panic: 7", b"goroutine 7 [running]:", b"goroutine  [", b"",
    b"java.lang.IllegalStateException: no session 7", b"Caused by: a.b2.C3Exception: x", b"\tat a.B(B.java:7)", b"calm 7",
    b"Traceback (most recent call last):", b'  File "/a.py", line 7, in x', b"rooms.Conflict: 7", b"7 [error] begins so",
    b"[error] " + b"x" * 1100, b"[error] " + b"x" * 1100 + b" Traceback (most recent call last):", b"exit status 7",
    b"Nov 25 10:00:00 web app[7]: error: x",
]  # fmt: skip


@shown(lines=[_FLOOD[7], b"calm", NGINX, b"calm", NGINX, _FLOOD[7], NGINX], least="error")
@given(lines=st.lists(st.sampled_from(_FLOOD), max_size=40), least=st.sampled_from(["error", "fatal", "warning"]))
def test_a_flood_of_errors_is_counted_as_single_ones_are(lines: list[bytes], least: Level) -> None:
    data = b"".join(line + b"\n" for line in lines)
    quick = review(data, wanted=Wanted(least=least))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces, "stands_alone", lambda _shape: False)
        slow = review(data, wanted=Wanted(least=least))
    assert quick == slow
    assert quick.lines == len(lines)


def test_structured_logs_have_their_level_in_a_field() -> None:
    lines = [
        {"level": "error", "msg": "payment 17 failed", "user": "error"},
        {"level": 50, "msg": "payment 18 failed", "err": {"message": "x", "stack": "Error: x\n    at pay (a.js:1:2)"}},
        {"level": 30, "msg": "error page was shown"},
        {"severity": "CRITICAL", "message": "store is gone"},
        {"log": {"level": "info"}, "message": "no error"},
    ]
    digest = review("".join(json.dumps(line) + "\n" for line in lines) + "Error: crashed\n    at run (a.js:3:4)\n")
    assert kinds(digest) == {
        "payment <n> failed": 1,
        "payment <n> failed | Error: x in pay": 1,
        "store is gone": 1,
        "Error: crashed in run": 1,
    }


CSV = (
    '2026-11-25 10:00:00.000 UTC,"app","shop",88,"10.0.0.7:4000",6,1,"SELECT",2026-11-25 09:00:00 UTC,3/7,0,{severity},'
    '{state},"{message}",,,,,,"select error",,,"psql","client backend",,0\n'
)


def test_postgresql_s_formats_are_read_by_their_fields() -> None:
    text = "".join(
        CSV.format(severity=severity, state=state, message=message)
        for severity, state, message in (
            ("ERROR", "40P01", "deadlock detected"),
            ("LOG", "00000", 'duration: 1 ms statement: select "",ERROR,""'),
            ("LOG", "00000", 'temporary file: path ""base/pgsql_tmp/pgsql_tmp88.0"", size 1073741824'),
            ("FATAL", "28P01", 'password authentication failed for user ""bob""'),
            ("PANIC", "XX000", "could not write to file"),
        )
    )
    digest = review(text)
    assert digest.levels == {"error": 2, "warning": 1, "fatal": 1}
    assert any("temporary file" in kind for kind in digest.kinds)
    assert not any("bob" in kind for kind in digest.kinds)
    entry = {"error_severity": "ERROR", "state_code": "40P01", "message": "deadlock detected"}
    assert kinds(review(json.dumps(entry) + "\n")) == {"ERROR: deadlock detected": 1}


QUERY = "SELECT * FROM tickets WHERE text LIKE $$temporary file: John Smith$$"


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ('temporary file: path ""base/pgsql_tmp/pgsql_tmp88.0"", size 1073741824', "warning"),
        ("process 88 still waiting for ShareLock on transaction 7 after 1000.1 ms", "warning"),
        ('skipping vacuum of ""rooms"" --- lock not available', "warning"),
        ("archive command failed with exit code 1", "warning"),
        ("database system was interrupted; last known up at 2026-11-25 10:00:00 UTC", "warning"),
        ("database system was not properly shut down; automatic recovery in progress", "warning"),
        ("server process (PID 88) was terminated by signal 9: Killed", "fatal"),
        (f"statement: {QUERY}", None),
        (f"duration: 12.5 ms  execute <unnamed>: {QUERY}", None),
        ("statement: " + "still waiting for " * 3000, None),
    ],
)
def test_what_postgresql_says_is_notable_and_what_a_statement_says_is_not(message: str, level: str | None) -> None:
    digest = review(CSV.format(severity="LOG", state="00000", message=message))
    assert list(digest.levels) == ([level] if level else [])


@pytest.mark.parametrize("priority", ["\u00b2", "9" * 5000, "", None, [3], {"a": 1}, 3.5, True, "-1", "8"])
def test_a_priority_that_journald_never_wrote_stops_nothing(priority: object) -> None:
    entries = [{"MESSAGE": "[error] odd", "PRIORITY": priority}, {"MESSAGE": "plain", "PRIORITY": "3"}]
    digest = review("".join(json.dumps(entry) + "\n" for entry in entries), form="journal")
    assert kinds(digest) == {"[error] odd": 1, "plain": 1}


def test_a_line_that_nobody_foresaw_is_skipped_and_counted() -> None:
    def read(line: bytes) -> Entry:
        if b"odd" in line:
            raise ZeroDivisionError
        return Entry(line, "error")

    form = replace(FORMATS["text"], read=read)
    digest = digest_of(iter([b"error one\nerror odd\nerror two\n"]), form, Wanted())
    assert (digest.events, digest.unread) == (2, 1)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["message", "stack", "level"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "form", [form for form in FORMATS.values() if form.name in ("json", "journal")], ids=lambda f: f.name
)
@given(st.dictionaries(st.sampled_from(["level", "msg", "err", "log", "stack", "MESSAGE", "PRIORITY", "_PID"]), _ODD))
def test_fields_of_any_kind_are_read(form: Format, fields: dict[str, object]) -> None:
    entry = form.read(json.dumps(fields).encode())
    assert entry is None or isinstance(entry.text, bytes)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (b"2026-11-25 15:17:28.979 UTC [29] LOG:  starting PostgreSQL 17.12\n", "postgresql"),
        (b"2026-11-25 15:17:29.2 CET [44] campus@campus FATAL:  password authentication failed\n", "postgresql"),
        (b"\tgoes on from before\n2026-11-25 15:17:29 UTC [4]: app=psql DETAIL:  Key exists.\n", "postgresql"),
        (b"2026-11-25T02:00:01.102312Z 0 [System] [MY-010116] [Server] starting as process 3112\n", "mysql"),
        (b"2026-11-25 15:18:03 0 [Note] InnoDB: Starting shutdown...\n", "mysql"),
        (b"251125 10:00:00 [Note] InnoDB: started\n2026-11-25  9:18:03 0 [Note] mysqld: ready\n", "mysql"),
        # Of others there are many that look much the same.
        (b"2026-11-25 15:18:03 77 [main] ERROR shop: cannot start\n", "text"),
        (b"2026-11-25 15:18:03 77 [Note] nothing of a server that is known\n", "text"),
        (b"2026-11-25 15:18:03 INFO  LOG: one blank\n", "text"),
        (b"2026/11/25 15:17:21 [error] 1511#1511: *1 connect() failed\n", "text"),
        (b'{"level":30,"msg":"2026-11-25 15:17:28 LOG:  no"}\n', "json"),
        (b"\0\0\0", "text"),
        (b"", "text"),
    ],
)
def test_a_log_is_known_by_its_first_lines(lines: bytes, name: str) -> None:
    assert recognise(lines).name == name


@pytest.mark.parametrize("level", ["Note", "Warning"])
def test_who_is_refused_by_mysql_is_told_whatever_the_level(level: str) -> None:
    line = f"2026-11-25T02:00:01.102312Z 9 [{level}] [MY-010926] [Server] Access denied for user 'root'@'192.0.2.1' "
    digest = review(line + "(using password: YES)\n", form="mysql")
    assert [(kind.level, kind.text) for kind in digest.kinds.values()] == [
        ("warning", f"[{level}] [Server] Access denied for user <text>@<text> (using password: YES)")
    ]


def test_mysql_s_error_log_is_read_by_its_level() -> None:
    text = (
        "2026-11-25T10:00:00.000000Z 7 [ERROR] [MY-013183] [InnoDB] Assertion failure: x.cc:7\n"
        "2026-11-25T10:00:00.000000Z 7 [Note] [MY-1] [Server] Aborted connection: error reading packets\n"
        "2026-11-25 10:00:00 0 [Warning] Aborted connection 7\n"
    )
    assert review(text, form="mysql").levels == {"fatal": 1}
    assert review(text, form="mysql", wanted=Wanted(least="warning")).levels == {"fatal": 1, "warning": 1}


def test_what_is_included_counts_and_what_is_ignored_is_counted_apart() -> None:
    text = "all is well\ngave up on order 7\n[error] known\n[error] other\n"
    wanted = Wanted(include=[re.compile(b"gave up")], ignore=[re.compile(b"known$")])
    digest = review(text, wanted=wanted)
    assert kinds(digest) == {"gave up on order <n>": 1, "[error] other": 1}
    assert digest.ignored == 1


def test_kinds_are_bounded_and_the_rest_is_counted() -> None:
    words = (f"{a}{b}{c}{d}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx" for d in "ABCDEFGH")
    text = "".join(f"[error] about {word}\n" for word in words)
    digest = review(text)
    assert len(digest.kinds) == MOST_TEMPLATES
    assert digest.other == 4096 - MOST_TEMPLATES
    assert digest.events == 4096


@pytest.mark.parametrize("first", ["step error: lost", "step7 error: lost", "step 17 error: lost", "[7error] lost"])
def test_what_a_line_counts_for_does_not_depend_on_the_lines_before_it(first: str) -> None:
    others = [
        "step error: lost",
        "step7 error: lost",
        "step77 error: lost",
        "step 7 error: lost",
        "[error] lost",
        "ERROR7",
    ]
    alone = {line: review(line + "\n").events for line in (first, *others)}
    assert review("".join(f"{line}\n" for line in (first, *others))).events == sum(
        alone[line] for line in (first, *others)
    )
    for other in others:
        assert review(f"{other}\n{first}\n").events == alone[other] + alone[first]
