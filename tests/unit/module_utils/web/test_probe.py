# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check against real servers, well-behaved, broken and hostile."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.conftest import Ask, by_check
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.servers import (
    Authority,
    Exchange,
    answer,
    closed_port,
    serving,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {check.partition(".")[2]: finding["status"] for check, finding in by_check(result).items()}


def test_a_healthy_endpoint_is_measured_in_all_its_phases(ask: Ask) -> None:
    with serving(answer(b'{"status": "ok"}')) as server:
        result = ask(server.url(host="localhost"), ip_version="4", samples=4, warmup=2)
    assert result["status"] == "ok"
    assert statuses(result) == {"reachable": "ok", "status": "ok", "errors": "ok", "latency": "ok"}
    assert len(server.requests) == 6
    (row,) = result["endpoints"]
    assert (row["samples"], row["failed"]) == (4, 0)
    assert list(row["phases"]) == ["dns", "connect", "first_byte", "transfer"]
    assert sum(row["phases"].values()) <= row["seconds"]["max"] * 1.5
    metrics = {metric["name"]: metric for metric in result["metrics"]}
    assert metrics["web.size"]["value"] == 16
    assert metrics["web.errors"]["value"] == 0
    assert {"web.latency", "web.latency_p50", "web.latency_p90", "web.latency_p99", "web.latency_max"} <= set(metrics)
    assert "the p95 of 4 samples is the slowest of them" in by_check(result)["web.latency"]["summary"]


def test_the_warm_up_counts_neither_for_errors_nor_for_status(ask: Ask) -> None:
    def cold(exchange: Exchange) -> None:
        exchange.send(answer(status="503 Cold") if exchange.number == 0 else answer())

    with serving(cold) as server:
        result = ask(server.url(), warmup=1, samples=3)
    assert result["status"] == "ok"


def test_some_failed_requests_are_a_rate_with_its_resolution(ask: Ask) -> None:
    def flaky(exchange: Exchange) -> None:
        if exchange.number % 4 == 1:
            exchange.link.close()
        elif exchange.number % 4 == 2:
            exchange.send(answer(b"oh no", status="502 Bad Gateway"))
        else:
            exchange.send(answer())

    with serving(flaky) as server:
        result = ask(server.url(), samples=8)
    found = by_check(result)
    assert found["web.reachable"]["status"] == "ok"
    assert (found["web.errors"]["status"], found["web.errors"]["value"]) == ("critical", 50.0)
    assert "4 of 8 samples, so one is 12.5 %" in found["web.errors"]["summary"]
    assert any("status 502 (2 requests)" in piece for piece in found["web.errors"]["evidence"])
    assert found["web.status"]["status"] == "warning"
    assert "status 502: oh no" in found["web.status"]["evidence"]


def test_an_endpoint_that_always_says_no_is_one_critical_finding(ask: Ask) -> None:
    with serving(answer(b"token=hunter22", status="503 Service Unavailable")) as server:
        result = ask(server.url(), body_matches=["fine"])
    assert statuses(result) == {
        "reachable": "ok",
        "status": "critical",
        "errors": "skipped",
        "latency": "ok",
        "assertions": "skipped",
    }
    assert "hunter22" not in json.dumps(result)


def test_a_dead_endpoint_is_one_critical_finding_and_the_rest_is_skipped(ask: Ask) -> None:
    with serving(answer()) as server:
        result = ask(f"http://127.0.0.1:{closed_port()}/", {"url": server.url(), "name": "alive"}, samples=9)
    dead = [one for one in result["findings"] if one["item"] != "alive"]
    assert [(one["check"], one["status"]) for one in dead] == [
        ("web.reachable", "critical"),
        ("web.status", "skipped"),
        ("web.errors", "skipped"),
        ("web.latency", "skipped"),
    ]
    assert "does not answer (refused)" in dead[0]["summary"]
    assert "none of 3 requests was answered" in dead[0]["summary"]
    assert {one["status"] for one in by_check(result, "alive").values()} == {"ok"}


def drip(exchange: Exchange, begin: bytes, piece: bytes) -> None:
    exchange.send(begin)
    while not exchange.over.wait(0.005):
        exchange.send(piece)


def flood(exchange: Exchange, begin: bytes, piece: bytes) -> None:
    exchange.send(begin)
    while not exchange.over.is_set():
        exchange.send(piece)


def _reset(exchange: Exchange) -> None:
    exchange.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    exchange.link.close()


HOSTILE: dict[str, tuple[Callable[[Exchange], None], str, str]] = {
    "silent": (lambda exchange: exchange.hang(), "timeout", "the wait for the first byte"),
    "slow head": (lambda exchange: drip(exchange, b"HTTP/1.1 200 OK\r\n", b"a"), "timeout", "the transfer"),
    "slow body": (lambda exchange: drip(exchange, b"HTTP/1.1 200 OK\r\n\r\n", b"a"), "timeout", "the transfer"),
    "short body": (lambda exchange: exchange.send(answer(b"abc")[:-1]), "protocol", "middle of the body"),
    "closes": (lambda exchange: exchange.link.close(), "reset", "closed without an answer"),
    "ssh": (lambda exchange: drip(exchange, b"SSH-2.0-OpenSSH\r\n", b""), "protocol", "SSH-2.0-OpenSSH"),
    "endless line": (lambda exchange: flood(exchange, b"HTTP/1.1 200 ", b"a" * 65536), "protocol", "head is longer"),
    "endless garbage": (lambda exchange: flood(exchange, b"", b"\x00\x1b[31m" * 9999), "protocol", "does not begin"),
    "endless fields": (
        lambda exchange: flood(exchange, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 9999),
        "protocol",
        "head is longer",
    ),
    "endless interim": (
        lambda exchange: flood(exchange, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "protocol",
        "interim",
    ),
    "endless chunks": (lambda exchange: flood(exchange, CHUNKED, b"1\r\na\r\n" * 999), "protocol", "more framing"),
    "endless trailers": (lambda exchange: flood(exchange, CHUNKED + b"0\r\n", b"X: y\r\n" * 99), "protocol", "trailer"),
    "reset": (_reset, "reset", "dropped"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_hostile_server_ends_in_one_clear_finding(ask: Ask, kind: str) -> None:
    handler, cause, words = HOSTILE[kind]
    with serving(handler) as server:
        result = ask(server.url(), samples=1, timeout_seconds=0.4 if cause == "timeout" else 20)
    finding = by_check(result)["web.reachable"]
    if finding["status"] == "ok":
        finding = by_check(result)["web.errors"]
    evidence = "; ".join(finding.get("evidence", []))
    assert evidence.startswith(f"{cause}: "), evidence
    assert words in evidence
    assert evidence.isprintable()
    assert result["status"] == "critical"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda exchange: flood(exchange, b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536), id="endless"),
        pytest.param(lambda exchange: flood(exchange, CHUNKED, b"10000\r\n" + b"a" * 65536 + b"\r\n"), id="chunks"),
        pytest.param(
            lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), id="declared"
        ),
    ],
)
def test_an_endless_body_is_cut_and_warned_of(ask: Ask, handler: Callable[[Exchange], None]) -> None:
    with serving(handler) as server:
        result = ask(server.url(), samples=1, max_bytes=100_000)
    assert statuses(result) == {
        "reachable": "ok",
        "status": "ok",
        "errors": "ok",
        "latency": "ok",
        "size": "warning",
    }


def test_a_small_body_is_warned_of(ask: Ask) -> None:
    with serving(answer(b"tiny")) as server:
        finding = by_check(ask(server.url(), min_bytes=100))["web.size"]
    assert (finding["status"], finding["value"], finding["unit"]) == ("warning", 4, "B")


def test_samples_that_ran_into_the_limit_do_not_flatter_the_percentile(ask: Ask) -> None:
    def sometimes(exchange: Exchange) -> None:
        exchange.hang() if exchange.number == 1 else exchange.send(answer())

    with serving(sometimes) as server:
        result = ask(server.url(), samples=3, timeout_seconds=0.3)
    finding = by_check(result)["web.latency"]
    assert finding["value"] >= 0.3
    assert "1 sample ran into the time limit and would have taken longer" in finding["summary"]


def test_levels_of_latency_are_the_users(ask: Ask) -> None:
    with serving(answer()) as server:
        levels = {"web.latency": {"info": None, "warning": None, "critical": 0}, "web.errors[a*]": {"critical": 50}}
        result = ask({"url": server.url(), "name": "api"}, levels=levels)
    assert by_check(result)["web.latency"]["status"] == "critical"
    assert by_check(result)["web.errors"]["levels"]["critical"] == 50


def test_assertions_name_the_dependency_that_is_down(ask: Ask) -> None:
    body = {"status": "ok", "checks": {"database": {"status": "up"}, "cache": {"status": "down"}}}
    with serving(answer(json.dumps(body).encode(), fields=("Cache-Control: public",))) as server:
        result = ask(
            {
                "url": server.url("/health/detailed"),
                "json": [{"path": "status", "equals": "ok"}, {"path": "checks.*.status", "equals": "up"}],
                "header_matches": {"Cache-Control": "no-store"},
            }
        )
    finding = by_check(result)["web.assertions"]
    assert (finding["status"], finding["value"]) == ("critical", 2)
    assert 'checks.cache.status is "down", not "up" (2 of 2 samples)' in finding["evidence"]


def test_a_server_that_sends_secrets_back_does_not_get_them_into_the_result(ask: Ask) -> None:
    def echo(exchange: Exchange) -> None:
        text = exchange.request.decode("latin-1").replace("\r\n", " ")
        exchange.send(answer(json.dumps({"said": text}).encode(), status="401 Unauthorized"))

    with serving(echo) as server:
        result = ask(
            {
                "url": server.url("/x?apikey=queryS3cret"),
                "headers": {"X-Whatever": "headerS3cret"},
                "login_user": "me",
                "login_password": "loginS3cret",
                "json": [{"path": "said", "equals": "x"}],
            },
            expected_status=["200"],
        )
        assert b"Authorization: Basic bWU6bG9naW5TM2NyZXQ=" in server.requests[0]
        plain = ask({"url": server.url(), "headers": {"X-Whatever": "headerS3cret"}}, expected_status=["200"])
    assert result["status"] == "critical"
    assert "X-Whatever: ***" in json.dumps(plain)
    for secret in ("S3cret", "bWU6bG9n"):
        assert secret not in json.dumps([result, plain])


def test_a_secret_that_the_cut_went_through_does_not_show_its_beginning(ask: Ask) -> None:
    key = "Zq" + "k7Xw" * 40
    with serving(answer(json.dumps({"said": f"your key is {key}"}).encode())) as server:
        result = ask({"url": server.url(), "headers": {"X-Key": key}, "json": [{"path": "said", "equals": "x"}]})
    (evidence,) = by_check(result)["web.assertions"]["evidence"]
    assert 'said is "your key is ***…' in evidence
    assert "Zqk7" not in json.dumps(result)


def leading(locations: dict[str, str], *, status: str = "302 Found") -> Callable[[Exchange], None]:
    def handler(exchange: Exchange) -> None:
        location = locations.get(exchange.path)
        exchange.send(answer(status=status, fields=(f"Location: {location}",)) if location is not None else answer())

    return handler


def test_redirects_are_followed_and_told(ask: Ask) -> None:
    with serving(leading({"/": "/a", "/a": "b", "/x": "/x"})) as server:
        result = ask(server.url(), redirect_to="/b$")
        assert result["status"] == "ok"
        assert by_check(result)["web.redirect"]["summary"] == f"leads to {server.url('/b')}"
        assert "in a circle" in by_check(ask(server.url("/x")))["web.redirect"]["summary"]
        assert "more than 1 redirect" in by_check(ask(server.url(), max_redirects=1))["web.redirect"]["summary"]
        wrong = by_check(ask(server.url(), redirect_to="/c$"))["web.redirect"]
        assert (wrong["status"], "does not match" in wrong["summary"]) == ("critical", True)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://other.example/", "another host: http://other.example/"),
        ("", "without a Location"),
        ("javascript:alert(1)", "an http:// or https:// URL"),
        ("http://[", "Location is not a"),
        ("//evil.example/%0d%0a", "another host"),
    ],
)
def test_a_redirect_nobody_should_follow_is_not_followed(ask: Ask, location: str, words: str) -> None:
    with serving(leading({"/": location})) as server:
        result = ask(server.url())
    found = by_check(result)
    assert found["web.redirect"]["status"] == "critical"
    assert words in found["web.redirect"]["summary"]
    assert found["web.reachable"]["status"] == "ok"
    assert found["web.status"]["status"] == found["web.errors"]["status"] == "skipped"


def test_a_redirect_to_a_dead_server_is_no_answer(ask: Ask) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/app"
    with serving(leading({"/": dead})) as server:
        found = by_check(ask(server.url()))
    assert found["web.reachable"]["status"] == "critical"
    assert (
        f"does not answer (refused): the connection was refused, behind a redirect to {dead}"
        in (found["web.reachable"]["summary"])
    )
    assert found["web.status"]["status"] == "skipped"


@pytest.mark.parametrize("check", ["web.errors", "web.status"])
def test_a_failure_is_not_left_to_a_check_that_nobody_chose(ask: Ask, check: str) -> None:
    with serving(leading({"/": "/login"})) as server:
        assert ask(server.url(), redirects="refuse", checks=[check])["status"] == "critical"
    with serving(answer(status="500 Broken")) as server:
        assert ask(server.url(), checks=[check])["status"] == "critical"


def test_credentials_do_not_follow_to_another_origin(ask: Ask) -> None:
    with serving(answer()) as other, serving(leading({"/": other.url("/there")})) as server:
        result = ask(server.url(), headers={"X-Key": "v"}, login_user="u", login_password="pass")
    assert result["status"] == "ok"
    assert b"X-Key: v" in server.requests[0]
    assert b"Authorization" in server.requests[0]
    assert b"X-Key" not in other.requests[0]
    assert b"Authorization" not in other.requests[0]


def test_refused_and_expected_redirects(ask: Ask) -> None:
    with serving(leading({"/": "/login"}, status="301 Moved Permanently")) as server:
        refused = by_check(ask(server.url(), redirects="refuse"))
        assert refused["web.redirect"]["status"] == "critical"
        assert refused["web.status"]["status"] == "skipped"
        assert ask(server.url(), redirects="expect", redirect_to="/login$")["status"] == "ok"
        assert ask(server.url(), expected_status=["301"])["status"] == "ok"
        missing = by_check(ask(server.url("/other"), redirects="expect"))["web.redirect"]
        assert "status 200 instead of a redirect" in missing["summary"]


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [("303 See Other", b"GET", b""), ("302 Found", b"GET", b""), ("307 x", b"POST", b"{}")],
)
def test_a_post_is_repeated_only_where_it_should(ask: Ask, status: str, method: bytes, body: bytes) -> None:
    with serving(leading({"/": "/b"}, status=status)) as server:
        assert ask(server.url(), method="POST", body={}, samples=1)["status"] == "ok"
    assert server.requests[1].startswith(method + b" /b")
    assert server.requests[1].endswith(b"\r\n\r\n" + body)


def test_a_post_goes_to_no_other_origin(ask: Ask) -> None:
    with serving(answer()) as other, serving(leading({"/": other.url()}, status="307 x")) as server:
        result = ask(server.url(), method="POST", body={"a": 1})
    assert "carry the POST to another origin" in by_check(result)["web.redirect"]["summary"]
    assert other.requests == []


def test_a_verified_certificate_and_its_phase(ask: Ask, authority: Authority) -> None:
    context = authority.context(authority.issue("campus.example.org", "127.0.0.1"))
    with serving(answer(), context=context) as server:
        result = ask(server.url(), ca_cert=str(authority.file))
        assert result["status"] == "ok"
        assert "tls" in result["endpoints"][0]["phases"]
        named = f"https://campus.example.org:{server.port}/"
        assert ask(named, ca_cert=str(authority.file), connect_to="127.0.0.1")["status"] == "ok"
        other = f"https://other.example.org:{server.port}/"
        sni = {"ca_cert": str(authority.file), "connect_to": "127.0.0.1"}
        assert ask(other, **sni, sni="campus.example.org")["status"] == "ok"


@pytest.mark.parametrize(
    ("names", "issue", "trusted", "words"),
    [
        (("127.0.0.1",), {"days": (-30, -1)}, True, "has expired"),
        (("127.0.0.1",), {"days": (1, 30)}, True, "is not valid yet"),
        (("127.0.0.1",), {"own": True}, True, "self-signed"),
        (("127.0.0.1",), {}, False, "missing or the authority is not trusted"),
        (("10.9.8.7",), {}, True, "is for other addresses"),
        (("other.example.org",), {}, True, "is for other"),
    ],
)
def test_each_way_in_which_a_certificate_is_wrong_has_its_words(
    ask: Ask, authority: Authority, names: tuple[str, ...], issue: dict[str, Any], trusted: bool, words: str
) -> None:
    context = authority.context(authority.issue(*names, **issue))
    with serving(answer(), context=context) as server:
        finding = by_check(ask(server.url(), ca_cert=str(authority.file) if trusted else None))["web.reachable"]
        assert finding["status"] == "critical"
        assert "(tls)" in finding["summary"]
        assert words in finding["summary"]
        blind = by_check(ask(server.url(), tls_verify=False))["web.reachable"]
        assert (blind["status"], "not verified" in blind["summary"]) == ("ok", True)


def test_tls_against_a_server_that_does_not_speak_it(ask: Ask) -> None:
    with serving(b"220 smtp.example.org ESMTP\r\n", reads=False) as server:
        finding = by_check(ask(server.url(scheme="https")))["web.reachable"]
    assert "(tls): what listens there does not speak TLS" in finding["summary"]


def test_a_client_certificate_is_shown_where_it_is_asked_for(ask: Ask, authority: Authority) -> None:
    context = authority.context(authority.issue("127.0.0.1"), clients=True)
    with serving(answer(), context=context) as server:
        ca = str(authority.file)
        assert ask(server.url(), ca_cert=ca, client_cert=str(authority.issue("me")))["status"] == "ok"
        assert ask(server.url(), ca_cert=ca)["status"] == "critical"


def test_the_step_down_to_plain_http_is_not_taken(ask: Ask, authority: Authority) -> None:
    context = authority.context(authority.issue("127.0.0.1"))
    with serving(answer()) as plain, serving(leading({"/": plain.url()}), context=context) as server:
        ca = str(authority.file)
        finding = by_check(ask(server.url(), ca_cert=ca))["web.redirect"]
        assert (finding["status"], "to plain http" in finding["summary"]) == ("critical", True)
        assert ask(server.url(), ca_cert=ca, redirect_downgrade=True)["status"] == "ok"


@pytest.mark.parametrize("kind", ["answers", "silent", "not http"])
def test_an_open_door_is_critical_whatever_is_behind_it(ask: Ask, kind: str) -> None:
    handlers: dict[str, Any] = {
        "answers": answer(status="403 Forbidden"),
        "silent": HOSTILE["silent"][0],
        "not http": b"SSH-2.0-x\r\n",
    }
    with serving(handlers[kind]) as server:
        result = ask({"url": server.url(), "refused": True}, timeout_seconds=0.3)
    (finding,) = result["findings"]
    assert (finding["check"], finding["status"]) == ("web.exposed", "critical")
    assert result["metrics"] == []


def test_a_closed_door_is_ok_and_an_unknown_name_is_unknown(ask: Ask) -> None:
    closed = {"url": f"http://127.0.0.1:{closed_port()}/", "refused": True}
    result = ask(closed, {"url": "http://no-such-host.invalid/", "refused": True})
    assert [finding["status"] for finding in result["findings"]] == ["ok", "unknown"]


def test_what_the_budget_does_not_reach_is_unknown(ask: Ask) -> None:
    with serving(HOSTILE["silent"][0]) as server:
        urls = [{"url": server.url(), "name": name} for name in ("first", "second")]
        result = ask(*urls, concurrency=1, budget_seconds=1, timeout_seconds=100, samples=1)
    assert by_check(result, "second")["web.reachable"]["status"] == "unknown"
    assert "budget_seconds was spent" in by_check(result, "second")["web.reachable"]["summary"]
    assert by_check(result, "second")["web.latency"]["status"] == "skipped"


def test_only_the_chosen_checks_are_made_and_nothing_is_asked_for_others(ask: Ask) -> None:
    with serving(answer()) as server:
        endpoints = [server.url(), {"url": f"http://127.0.0.1:{closed_port()}/", "refused": True}]
        result = ask(*endpoints, checks=["exposed"])
        assert [finding["check"] for finding in result["findings"]] == ["web.exposed"]
        assert server.requests == []
        chosen = ask(*endpoints, checks=["web.latency"])
        assert [finding["check"] for finding in chosen["findings"]] == ["web.latency"]


def test_nothing_to_ask_is_nothing_looked_at(ask: Ask) -> None:
    result = ask()
    assert (result["status"], result["summary"]) == ("skipped", "nothing was looked at")


def test_hundreds_of_endpoints_are_asked_at_the_same_time(ask: Ask) -> None:
    together: list[int] = []

    def wait_for_others(exchange: Exchange) -> None:
        together.append(exchange.number)
        if len(together) == 100:
            exchange.over.set()
        exchange.over.wait(20)
        exchange.send(answer())

    with serving(wait_for_others) as server:
        urls = [server.url(f"/{number}") for number in range(100)]
        result = ask(*urls, samples=1, concurrency=100, timeout_seconds=20)
    assert result["status"] == "ok"
    assert result["probe"]["requests"] == 100


def test_every_catalogue_entry_can_be_read_by_people() -> None:
    for check in CATALOGUE.values():
        assert check.title
        assert check.source
        assert re.search(r"[.]$", check.remedy)


def test_state_is_left_alone(ask: Ask, tmp_path: Path) -> None:
    with serving(answer()) as server:
        ask(server.url())
    assert not (tmp_path / "state").exists()
