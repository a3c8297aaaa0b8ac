# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server that is none, or a bad one, makes of a connection. Real servers are met in tests/integration/logs."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import DependencyError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.client import open_session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login

SECRET = "hunter2"
LOGIN = Login("", "127.0.0.1", 1, "watcher", SECRET, "", "", "", True, 1, 0.2)
#: LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000

Answer = Callable[[socket.socket], None]


def packet(number: int, body: bytes) -> bytes:
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


def greeting(version: bytes = b"9.7.0", plugin: bytes = b"mysql_native_password") -> bytes:
    low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
    body = (
        b"\x0a" + version + b"\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<HBHHB", low, 45, 2, high, 21)
    )
    return packet(0, body + bytes(10) + b"123456789012\0" + plugin + b"\0")


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Login]]:
    """A server on the loopback address that answers one connection in the test's way; the login that leads there."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = [listener]

    def serving(answer: Answer) -> Login:
        def run() -> None:
            try:
                connection, _address = listener.accept()
                open_ones.append(connection)
                answer(connection)
            except OSError:
                return

        threading.Thread(target=run, daemon=True).start()
        return replace(LOGIN, port=listener.getsockname()[1])

    yield serving
    for one in open_ones:
        one.close()


def refused(login: Login) -> ConnectError:
    with pytest.raises(ConnectError) as told:
        open_session(login)
    assert SECRET not in str(told.value)
    assert told.value.__cause__ is None or SECRET not in str(told.value.__cause__)
    return told.value


def test_a_port_where_nobody_listens() -> None:
    assert "cannot be reached: Connection refused" in refused(LOGIN).message


def test_a_server_that_says_nothing_is_left(serve: Any) -> None:
    hold = threading.Event()
    error = refused(serve(lambda connection: hold.wait(30)))
    hold.set()
    assert "did not answer within 1 s" in error.message or "timed out" in error.message


def test_a_server_that_drips_is_left(serve: Any) -> None:
    """Each byte comes in time, and the whole never does."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\xff\xff\xff\x00")
        while not over.wait(0.05):
            connection.sendall(b"\x0a")

    error = refused(serve(drip))
    over.set()
    assert "did not answer within 1 s" in error.message


@pytest.mark.parametrize("junk", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x05\x00\x00\x00\x0a9.7", b"\x01\x00\x00\x00\xff"])
def test_what_is_no_mysql_server_is_told(serve: Any, junk: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(junk)
        connection.close()

    assert refused(serve(answer)).message


def test_a_password_is_not_given_away_in_plain_text(serve: Any) -> None:
    said: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(greeting())
        said.append(connection.recv(4096))
        connection.sendall(packet(2, b"\xfemysql_clear_password\0"))
        said.append(connection.recv(4096))

    error = refused(serve(answer))
    assert "asks for the password in plain text" in error.message
    assert SECRET.encode() not in b"".join(said)


def test_with_an_authority_nothing_is_said_without_tls(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Any authority will do: it does not come to a certificate.
    monkeypatch.setattr(client, "_tls", lambda _login: ssl.create_default_context())
    said: list[bytes] = []
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(greeting())
        said.append(connection.recv(4096))
        ended.set()

    error = refused(replace(serve(answer), ca_cert="/ca.pem"))
    assert "offers no TLS" in error.message
    assert ended.wait(5)
    assert b"".join(said) == b""


def test_an_authority_that_is_none_is_told(tmp_path: Any) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(MaintenanceError, match=r"certificates .* cannot be used"):
        open_session(replace(LOGIN, ca_cert=str(path)))


def test_a_driver_that_is_missing_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    client.driver.cache_clear()
    monkeypatch.setitem(sys.modules, "pymysql", None)
    try:
        with pytest.raises(DependencyError, match=r"'pymysql' .*python3-pymysql"):
            open_session(LOGIN)
    finally:
        client.driver.cache_clear()


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (1045, "Access denied for user 'a'@'b' (using password: YES)", "refuses the login: .* with a password"),
        (1698, "Access denied for user 'root'@'localhost'", "refuses the login"),
        (1040, "Too many connections", "no connection to spare"),
        (2013, "Lost connection", "was lost"),
        (1142, "SELECT command denied to user", "refused a statement: SELECT command denied"),
    ],
)
def test_what_the_server_says_is_worded(number: int, words: str, expected: str) -> None:
    error = client._translated(pymysql.err.OperationalError(number, f"{words} {SECRET}"), LOGIN)
    assert SECRET not in str(error)
    assert re.search(expected, str(error))
