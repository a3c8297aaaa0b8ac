# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the review counts, held against an independent count of the same log."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import formats
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import _POOR, Wanted, build
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.routes import fold
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.sketch import ERROR
from ansible_collections.fleetcare.maintenance.tests.benchmarks.generate_log import generate
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.access.conftest import (
    Review,
    line,
    of,
    write,
)

LINES = 60_000


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "access.log"
    generate(path, lines=LINES)
    return path


def awk(program: str, path: Path) -> dict[str, str]:
    """What awk prints for each request of the log: a request has a bracket in the fourth field and a quote in the sixth."""
    guarded = '$4 ~ /^\\[/ && $6 ~ /^"/ {' + program + "} END {for (key in n) print key, n[key]}"
    out = subprocess.run(["awk", guarded, str(path)], capture_output=True, text=True, check=True).stdout
    return dict(text.rsplit(" ", 1) for text in out.splitlines())


@pytest.mark.parametrize("workers", [1, 2])
def test_counts_are_those_of_awk_on_the_very_fields(review: Review, generated: Path, workers: int) -> None:
    log = review(generated, workers=workers)["logs"][0]

    assert log["statuses"] == {key: int(many) for key, many in awk("n[$9]++", generated).items()}
    assert log["bytes"] == int(awk('n["bytes"] += $10', generated)["bytes"])
    addresses = {key: int(many) for key, many in awk("n[$1]++", generated).items()}
    assert {one["address"]: one["requests"] for one in log["addresses"]}.items() <= addresses.items()
    assert log["addresses"][0]["requests"] == max(addresses.values())
    assert log["requests"] + log["unparsed"] == log["lines"]
    assert log["requests"] == sum(addresses.values())


@pytest.mark.parametrize("workers", [1, 2])
def test_percentiles_are_within_the_stated_error_of_the_exact_ones(
    review: Review, generated: Path, workers: int
) -> None:
    times = sorted(
        float(text.split(" rt=")[1].split(" ")[0])
        for text in generated.read_text(encoding="utf-8").splitlines()
        if " rt=" in text
    )

    log = review(generated, workers=workers)["logs"][0]

    for name, value in log["seconds"].items():
        exact = times[math.ceil(int(name[1:]) / 100 * len(times)) - 1]
        assert value == pytest.approx(exact, rel=ERROR * 1.0001), name


def test_errors_are_the_status_and_not_any_three_digits(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *[line("/img/401.png", size=503)] * 100, line("/x", status=500))

    result = review(path)

    assert of(result, "http_server_errors")["value"] == pytest.approx(100 / 101, abs=1e-3)
    assert of(result, "http_login_failures")["value"] == 0


def test_a_slow_route_has_a_finding_of_its_own(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *[line("/")] * 2000, *[line(f"/reports/{n}", seconds="7.500") for n in range(60)])

    result = review(path)

    assert of(result, "http_latency", "a.log")["status"] == "ok"
    slow = of(result, "http_latency", "GET /reports/{n}")
    assert slow["status"] == "critical"
    assert slow["value"] == pytest.approx(7.5, rel=ERROR)


def test_a_log_without_times_says_so(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *[line(seconds="x").replace(" x\n", "\n")] * 60)

    latency = of(review(path), "http_latency")

    assert latency["status"] == "skipped"
    assert "request_time" in latency["remedy"]


def test_a_second_run_counts_only_what_is_new(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *[line()] * 70)
    review(path)
    with path.open("a", encoding="utf-8") as log:
        log.write(line() * 3)

    assert review(path)["logs"][0]["requests"] == 3
    again = review(path)
    assert again["logs"][0]["requests"] == 0
    assert of(again, "http_traffic")["status"] == "info"


def test_lines_that_are_no_request_are_told_as_a_share(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *[line()] * 60, *["Traceback\n", "rubbish in here\n"] * 20)

    skipped = of(review(path), "skipped_lines")

    assert skipped["value"] == pytest.approx(40)
    assert skipped["status"] == "warning"
    assert "40 lines of 100" in skipped["summary"]
    assert "the lines show the format combined" in skipped["summary"]


def test_a_word_alone_on_a_line_does_not_become_part_of_an_address(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", line(), "Traceback\n", line())

    assert review(path)["logs"][0]["addresses"] == [{"address": "203.0.113.5", "requests": 2}]


def test_a_log_in_an_unknown_format_is_unknown_and_not_ok(review: Review, tmp_path: Path) -> None:
    result = review(write(tmp_path / "a.log", "one two three\n" * 50))

    assert of(result, "skipped_lines")["status"] == "unknown"
    assert "log_format" in of(result, "skipped_lines")["remedy"]


def test_a_log_that_is_not_there_is_unknown(review: Review, tmp_path: Path) -> None:
    result = review(tmp_path / "gone.log")

    assert of(result, "readable")["status"] == "unknown"
    assert not [one for one in result["findings"] if one["check"].startswith("logs.http") and one["status"] == "ok"]


def test_json_lines_are_counted_as_others_are(review: Review, tmp_path: Path) -> None:
    rows = [
        {"remote_addr": "203.0.113.5", "request_method": "GET", "request_uri": f"/rooms/{n}", "status": 200,
         "body_bytes_sent": 10, "request_time": 0.5, "http_user_agent": "curl"}
        for n in range(60)
    ]  # fmt: skip
    odd = '{"remote_addr":"203.0.113.9","request_uri":"/\\x22","status":"404","body_bytes_sent":"3"}\n'
    path = write(tmp_path / "a.json", *[json.dumps(row) + "\n" for row in rows], odd, "{broken\n", "[1,2]\n")

    log = review(path)["logs"][0]

    assert log["statuses"] == {"200": 60, "404": 1}
    assert log["unparsed"] == 2
    assert log["bytes"] == 603
    assert log["routes"][0]["route"] == "GET /rooms/{n}"
    assert log["seconds"]["p95"] == pytest.approx(0.5, rel=ERROR)


def test_names_of_json_fields_can_be_given(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"who":"203.0.113.7","was":{"asked":"/x"},"code":201,"status":"fine"}\n' * 60)
    fields = {"address": "who", "target": "was.asked", "status": "code"}

    log = review(logs=[{"path": str(path), "format": "json", "json_fields": fields}])["logs"][0]

    assert log["statuses"] == {"201": 60}
    assert log["addresses"][0]["address"] == "203.0.113.7"


def test_behind_a_proxy_the_last_forwarded_address_counts(review: Review, tmp_path: Path) -> None:
    text = line(seconds='"10.9.9.9, 198.51.100.77"')
    path = write(tmp_path / "a.log", *[text] * 60)

    log = review(logs=[{"path": str(path), "format": "main", "address": "forwarded"}])["logs"][0]

    assert log["addresses"] == [{"address": "198.51.100.77", "requests": 60}]


def test_users_are_counted_although_most_lines_have_none(review: Review, tmp_path: Path) -> None:
    lines = [line("/")] * 500 + [line("/login", status=401, user="jane", address=f"203.0.113.{n}") for n in range(9)]

    failures = of(review(write(tmp_path / "a.log", *lines)), "http_login_failures")

    assert "1 user tried from 5 addresses or more" in failures["summary"]
    assert any(text.startswith("user jane: 9 refusals") for text in failures["evidence"])


def test_a_path_that_is_missing_once_does_not_hide_its_route(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", line("/late", status=404), *[line("/")] * 30000, line("/late"),
                 *[line("/late", status=404)] * 50)  # fmt: skip

    routes = {one["route"]: one for one in review(path)["logs"][0]["routes"]}

    assert routes["GET /late"]["errors_4xx"] == 50
    assert routes["(not found)"]["requests"] == 1


def test_more_routes_than_allowed_are_counted_together(review: Review, tmp_path: Path) -> None:
    words = [f"{chr(97 + a)}{chr(97 + b)}{chr(97 + c)}" for a in range(8) for b in range(8) for c in range(8)]
    path = write(tmp_path / "a.log", *[line(f"/{word}") for word in words])

    result = review(path, max_routes=20)

    assert result["logs"][0]["requests"] == 512
    assert len(result["logs"][0]["routes"]) <= 26
    assert "max_routes" in of(result, "http_traffic")["summary"]


def test_a_finding_says_once_which_log_and_route_it_is_of(review: Review, tmp_path: Path) -> None:
    lines = [line("/reports/1", seconds="7.5", status=500)] * 60 + [line("/search?q=%27%20OR%201=1--")] * 2
    lines += [line("/login", status=401)] * 6 + [line("/gone", status=404)] * 60
    lines += [line("/uploads/a.php", method="PUT", status=201), "rubbish\n"]
    logs = [write(tmp_path / "busy.log", *lines), write(tmp_path / "quiet.log", line(seconds="x").replace(" x", ""))]
    logs += [write(tmp_path / "odd.log", "one two three\n" * 50), tmp_path / "absent.log", tmp_path]

    findings = [one for result in (review(*logs), review(*logs)) for one in result["findings"]]

    assert len({one["check"] for one in findings}) == 13
    for one in findings:
        log, _blank, route = one["item"].partition(" ")
        assert log not in one["summary"]
        assert not route or route not in one["summary"]
    slow = next(one for one in findings if one["item"].endswith("GET /reports/{n}") and one["unit"] == "s")
    assert slow["summary"].startswith("95th percentile of the time of a request: 7.4")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"paranoia": 4}, "Option 'paranoia' is 4, but must be a paranoia level from 1 to 3."),
        ({"login_paths": ["("]}, "Option 'login_paths\\[0\\]' is '\\('"),
        ({"allow": [{"route": "*", "classes": ["sql"]}]}, "Option 'allow\\[0\\].classes\\[0\\]' is 'sql', but must be one of"),
        ({"logs": [{"path": "access.log"}]}, "Option 'logs\\[0\\].path' is 'access.log', but must be an absolute path"),
        ({"logs": [{"path": "/x", "format": "rubbish"}]}, "Option 'logs\\[0\\].format' is 'rubbish', but must be one of"),
        ({"logs": [{"path": "/x", "format": "combined", "address": "forwarded"}]}, "it has no .http_x_forwarded_for"),
        ({"logs": [{"path": "/x", "json_fields": {"adress": "a"}}]}, "must be keyed by some of address"),
        ({"allow": [{"route": " "}]}, "must be a glob of routes"),
        (
            {"logs": [{"path": "/x", "json_fields": {"seconds": "a", "milliseconds": "b"}}]},
            "must be absent beside seconds",
        ),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(review: Review, options: dict, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        review(**options)


def dated(stamp: str, **more: Any) -> str:
    return line(**more).replace("02/Mar/2026:10:00:00 +0000", stamp)


@pytest.mark.parametrize(
    "form",
    [
        lambda moment: dated(moment.strftime("%d/%b/%Y:%H:%M:%S +0000")),
        lambda moment: json.dumps({"time_iso8601": moment.strftime("%Y-%m-%dT%H:%M:%S+0000"), "remote_addr": "192.0.2.1",
                                   "request": "GET / HTTP/1.1", "status": "200", "body_bytes_sent": "5"}) + "\n",
    ],
    ids=["combined", "json"],
)  # fmt: skip
@pytest.mark.parametrize(("hours", "wanted"), [(24, 24 * 60), (1, 60), (0, 6000), (1000, 6000)])
def test_the_first_review_begins_so_many_hours_ago(
    review: Review, tmp_path: Path, form: Callable[[datetime], str], hours: float, wanted: int
) -> None:
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    log = write(tmp_path / "a.log", *(form(now - timedelta(minutes=minute)) for minute in reversed(range(6000))))

    assert abs(review(log, first_hours=hours)["logs"][0]["requests"] - wanted) <= 1
    with log.open("a") as stream:
        stream.write(form(now - timedelta(days=9)))
    assert review(log, first_hours=hours)["logs"][0]["requests"] == 1


def test_a_log_of_years_ago_is_no_news(review: Review, tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", *[dated("02/Mar/2019:10:00:00 -0330", status=500)] * 2000)
    found = review(log, first_hours=24)
    assert {one["status"] for one in found["findings"]} <= {"ok", "info", "skipped"}
    assert found["logs"][0]["requests"] == 0


def test_a_log_without_any_time_is_read_whole(review: Review, tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", *['192.0.2.1 "GET / HTTP/1.1" 200 5\n'] * 100)
    given = {"path": str(log), "format": '$remote_addr "$request" $status $body_bytes_sent'}
    assert review(first_hours=1, logs=[given])["logs"][0]["requests"] == 100


@pytest.mark.parametrize("size", ['"' + "9" * 5000 + '"', "-5", '"1e3"', "true", "9" * 4000])
def test_a_size_that_is_none_stops_nobody_and_counts_as_nothing(review: Review, tmp_path: Path, size: str) -> None:
    row = '{"remote_addr": "192.0.2.1", "request": "GET / HTTP/1.1", "status": 200, "body_bytes_sent": %s}\n'
    (log,) = review(write(tmp_path / "a.log", *[row % "7"] * 9, row % size))["logs"]
    assert (log["requests"], log["bytes"]) == (10, 63)


def test_lines_without_blanks_are_taken_apart_once_and_not_from_every_line_anew() -> None:
    made = formats.parse(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent', option="format"
    )
    expression = build(made, Wanted(address="address", seconds=""))
    for _block in range(_POOR):
        assert not expression.columns(b"a\n" * 50).heads
    expression.quick = None  # type: ignore[assignment]
    assert len(expression.columns(b'1.1.1.1 - - [02/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5\n').heads) == 1


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/reset/QWxhZGRpbjpvcGVuI", "/reset/{token}"),
        ("/verify/aBcDeFgHiJkLmNoPqRsTuVwXyZ", "/verify/{token}"),
        ("/invite/9f8e7d6c5b", "/invite/{token}"),
        ("/api/OrderHistory/XMLHttpRequest", "/api/OrderHistory/XMLHttpRequest"),
        ("/getElementsByTagName/v2/oauth2", "/getElementsByTagName/v2/oauth2"),
        ("/products/internationalisation/covid19", "/products/internationalisation/covid19"),
        ("/reset/x7kqpwmzrt", "/reset/{token}"),
        ("/files/X7KQPWMZRT.pdf", "/files/{token}.pdf"),
        ("/orders/order1234567", "/orders/{token}"),
        ("/mp3player/html5video/iphone15case/web2print", "/mp3player/html5video/iphone15case/web2print"),
        ("/page-10/jquery-3.6.0.min.js", "/page-{n}/jquery-{n}.{n}.{n}.min.js"),
    ],
)
def test_a_token_is_not_part_of_a_route_and_a_word_is(path: str, route: str) -> None:
    assert fold(path) == route


def drawn(alphabet: str, length: int, luck: random.Random) -> str:
    """A token with one run of digits and some letters."""
    while True:
        token = "".join(luck.choices(alphabet, k=length))
        if len(re.findall(r"\d+", token)) == 1 and not token.isdigit():
            return token


def test_words_with_a_number_stay_and_tokens_do_not() -> None:
    words = (Path(__file__).parent / "fixtures" / "path_words.txt").read_text().split()
    folded = [word for word in words if fold(f"/{word}") != f"/{word}"]
    assert len(words) > 300
    # What is left are names such as django5upgrade, whose letters are as rare as those of a token.
    assert len(folded) <= 0.02 * len(words), folded

    luck = random.Random(1)
    for alphabet in (ascii_lowercase + digits, ascii_uppercase + digits, ascii_letters + digits):
        for length, least in ((10, 0.9), (12, 0.93), (16, 0.96)):
            tokens = [drawn(alphabet, length, luck) for _token in range(1000)]
            assert sum(fold(f"/{token}") == "/{token}" for token in tokens) >= least * len(tokens), (alphabet, length)


def test_a_token_that_is_answered_with_404_is_not_told(review: Review, tmp_path: Path) -> None:
    tokens = ["QWxhZGRpbjpvcGVuI", "aBcDeFgHiJkLmNoPqRsTuVwXyZ", "9f8e7d6c5b"]
    result = review(write(tmp_path / "a.log", *(line(f"/reset/{token}", status=404) for token in tokens * 20)))

    assert result["logs"][0]["missing"] == [{"path": "/reset/{token}", "requests": 60}]
    assert of(result, "http_client_errors")["evidence"][0] == "60 requests of what is missing: /reset/{token}"
    assert not any(token in json.dumps(result) for token in tokens)


def test_a_time_that_was_asked_for_is_not_the_time_of_its_line(review: Review, tmp_path: Path) -> None:
    """In JSON the request often stands in front of its time."""
    begin = datetime.now(timezone.utc) - timedelta(hours=48)
    rows = [
        {
            "uri": f"/x?since=2020-01-01T00:00:00Z&n={n}",
            "status": 200,
            "time": (begin + timedelta(minutes=n)).isoformat(),
        }
        for n in range(48 * 60)
    ]
    log = write(tmp_path / "a.json", *[json.dumps(row) + "\n" for row in rows])

    assert review(log, first_hours=24)["logs"][0]["requests"] >= 24 * 60 - 1
