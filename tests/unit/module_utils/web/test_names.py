# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints by their names: addresses of both versions of IP, dead ones beside living ones, name servers that hang."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import connection
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.conftest import Ask, by_check
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.web.servers import answer, serving


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets ``site.example.org`` have the addresses that a test gives it."""
    families = {"4": socket.AF_INET, "6": socket.AF_INET6}

    def give(*addresses: str) -> None:
        def getaddrinfo(host: str, port: int, *, family: int, type: int) -> list[Any]:
            assert host == "site.example.org"
            found = [(families["6" if ":" in one else "4"], one) for one in addresses]
            wanted = [(kind, type, 6, "", (one, port)) for kind, one in found if family in (kind, socket.AF_UNSPEC)]
            if not wanted:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return wanted

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return give


def test_an_ipv6_address_can_be_asked(ask: Ask) -> None:
    with serving(answer(), address="::1") as server:
        assert ask(server.url())["status"] == "ok"


def test_both_versions_of_ip_are_items_of_their_own(ask: Ask, names: Callable[..., None]) -> None:
    names("127.0.0.1", "::1")
    with serving(answer(), address="::1") as server:
        site = {"url": server.url(host="site.example.org"), "name": "site"}
        result = ask(site, ip_version="both", samples=1)
    assert by_check(result, "site (IPv6)")["web.reachable"]["status"] == "ok"
    assert by_check(result, "site (IPv4)")["web.reachable"]["status"] == "critical"


def test_a_missing_address_of_one_version_is_named(ask: Ask, names: Callable[..., None]) -> None:
    names("127.0.0.1")
    result = ask({"url": "http://site.example.org/", "name": "site"}, ip_version="6", samples=1)
    assert "the name has no IPv6 address" in by_check(result)["web.reachable"]["summary"]


def test_a_dead_address_does_not_hide_a_living_one(ask: Ask, names: Callable[..., None]) -> None:
    names("127.0.0.1", "::1")
    with serving(answer(), address="::1") as server:
        assert ask(server.url(host="site.example.org"), samples=1)["status"] == "ok"


def test_an_address_that_swallows_connections_does_not_hide_a_living_one(
    ask: Ask, names: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    really = connection._connect_one

    async def swallow(place: connection.Address) -> socket.socket:
        if place[1][0] == "127.0.0.1":
            await asyncio.get_running_loop().create_future()
        return await really(place)

    names("127.0.0.1", "::1")
    monkeypatch.setattr(connection, "_connect_one", swallow)
    with serving(answer(), address="::1") as server:
        result = ask(server.url(host="site.example.org"), samples=1, timeout_seconds=20)
    assert result["status"] == "ok"
    assert result["endpoints"][0]["phases"]["connect"] >= connection.STAGGER_SECONDS


def test_a_name_server_that_hangs_holds_up_neither_others_nor_the_end(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: over.wait(30) and [])
    with serving(answer()) as server:
        slow = {"url": "http://site.example.org/", "name": "slow", "timeout_seconds": 0.2}
        result = ask(slow, server.url(), samples=1)
    over.set()
    assert "ran out during name resolution" in by_check(result, "slow")["web.reachable"]["summary"]
    assert by_check(result, server.url())["web.reachable"]["status"] == "ok"


def test_a_name_without_an_address_is_told_from_a_dead_server(ask: Ask) -> None:
    finding = by_check(ask("http://no-such-host.invalid/", samples=1))["web.reachable"]
    assert finding["status"] == "critical"
    assert "(dns)" in finding["summary"]


def test_one_machine_behind_a_name_can_be_asked(ask: Ask) -> None:
    with serving(answer()) as server:
        url = "http://campus.example.org/health"
        assert ask(url, connect_to=f"127.0.0.1:{server.port}")["status"] == "ok"
        assert ask(f"http://campus.example.org:{server.port}/", connect_to="127.0.0.1")["status"] == "ok"
    assert b"\r\nHost: campus.example.org\r\n" in server.requests[0]
