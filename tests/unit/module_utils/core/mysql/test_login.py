# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and as whom to connect: options, files of options, and what is refused."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql import login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import (
    ARGUMENTS,
    SOCKETS,
    Login,
    read_login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.option_file import client_options

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a file of options, whoever runs the tests."""
    entry = pwd.getpwuid(os.geteuid())
    other = pwd.struct_passwd((*entry[:5], str(tmp_path), entry[6]))
    monkeypatch.setattr(login.pwd, "getpwuid", lambda _uid: other)
    return tmp_path


def read(**given: Any) -> Login:
    return read_login({**{name: spec.get("default") for name, spec in ARGUMENTS.items()}, **given}, option="mysql[0]")


def test_without_options_it_is_the_local_socket_and_the_user_of_the_run() -> None:
    found = read()
    assert (found.socket, found.host, found.user, found.password) == (SOCKETS[0], "", ME, "")
    assert found.place == SOCKETS[0]


def test_the_socket_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "mysql.sock"
    there.touch()
    monkeypatch.setattr(login, "SOCKETS", ("/nowhere", str(there)))
    assert read().socket == str(there)


@pytest.mark.parametrize(("host", "place"), [("db1", "db1:3307"), ("2001:db8::1", "[2001:db8::1]:3307")])
def test_a_host_is_reached_by_its_port(host: str, place: str) -> None:
    found = read(login_host=host, login_port=3307)
    assert (found.socket, found.place) == ("", place)


def test_a_file_of_options_gives_what_is_not_given(home: Path) -> None:
    path = home / "maintenance.cnf"
    path.write_text("[client]\nuser=watcher\npassword='s#cret'\nhost=db1\nport=3310\nssl_ca=/ca.pem\n")
    found = read(config_file=str(path))
    assert (found.user, found.password, found.place, found.ca_cert) == ("watcher", "s#cret", "db1:3310", "/ca.pem")
    assert read(config_file=str(path), login_unix_socket="/run/other.sock").place == "/run/other.sock"
    assert read(config_file=str(path), login_password="given").password == "given"
    assert read(config_file=str(path), login_user="other").password == ""


def test_the_user_s_own_file_counts_where_none_is_named(home: Path) -> None:
    (home / ".my.cnf").write_text("[client]\nuser=admin\npassword=x\nsocket=/run/own.sock\n")
    found = read()
    assert (found.user, found.password, found.place) == ("admin", "x", "/run/own.sock")
    assert read(login_user="admin").password == "x"


def test_localhost_in_a_file_is_the_socket(home: Path) -> None:
    (home / ".my.cnf").write_text("[client]\nhost=localhost\nport=3306\n")
    assert read().place == SOCKETS[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"login_host": "db", "login_unix_socket": "/s"}, "mysql[0].login_unix_socket"),
        ({"login_port": 0}, "a port from 1 to 65535"),
        ({"connect_timeout": 0}, "seconds from 1 to 3600"),
        ({"statement_timeout": 0.0}, "seconds from 0.1 to 86400"),
        ({"ca_cert": "/nowhere/ca.pem"}, "a file on this host that this user can read"),
        ({"config_file": "/nowhere"}, "mysql[0].config_file"),
        ({"config_file": "/"}, "mysql[0].config_file"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as told:
        read(**given)
    assert words in str(told.value)


def test_a_file_of_options_is_read_as_mysql_s_programs_do() -> None:
    text = """
# comment
!includedir /etc/mysql/conf.d/
user = nobody
[mysqld]
user = mysql
[client]
; another
user = root # the administrator
password = "a#b\\s\\"c"   # behind it
quick
socket=/first.sock
socket=/second.sock
broken line that = is none
[mysqldump]
password = other
"""
    found = client_options(text)
    assert found == {"user": "root", "password": 'a#b "c', "quick": "", "socket": "/second.sock"}
