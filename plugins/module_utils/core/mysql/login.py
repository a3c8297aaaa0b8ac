# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and as whom to connect to a MySQL or MariaDB server: options, what a file of them adds, and what is usual."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.option_file import read_client_options

#: Where Debian's and Red Hat's packages put the socket, in folders that nobody else can write to.
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock")

#: Options of everything that talks to MySQL, named as in community.mysql.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "login_host": {"type": "str"},
    "login_unix_socket": {"type": "path"},
    "login_port": {"type": "int", "default": 3306},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "config_file": {"type": "path"},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca"]},
    "client_cert": {"type": "path", "aliases": ["ssl_cert"]},
    "client_key": {"type": "path", "aliases": ["ssl_key"]},
    "check_hostname": {"type": "bool", "default": True},
    "connect_timeout": {"type": "int", "default": 10},
    "statement_timeout": {"type": "float", "default": 30.0},
}
#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "login_port": (1, 65535, "a port from 1 to 65535"),
    "connect_timeout": (1, 3600, "seconds from 1 to 3600"),
    "statement_timeout": (0.1, 86400, "seconds from 0.1 to 86400"),
}


@dataclass(frozen=True)
class Login:
    """Where and as whom to connect: by ``socket`` where that is not empty, else to ``host`` and ``port``."""

    socket: str
    host: str
    port: int
    user: str
    password: str
    ca_cert: str
    client_cert: str
    client_key: str
    check_hostname: bool
    connect_timeout: int
    statement_timeout: float

    @property
    def place(self) -> str:
        """The server's name in findings: ``db1:3306``, or the path of the socket."""
        if self.socket:
            return self.socket
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_login(params: Mapping[str, Any], *, option: str = "") -> Login:
    """Connection options, each refused in one sentence where it makes no sense. Raises OptionError.

    ``option`` is the place of the mapping that holds them, such as ``mysql[0]``. What they leave out is taken from the
    file of options, and what that leaves out is the local socket and the name of the operating system's user.
    """
    prefix = f"{option}." if option else ""
    if params["login_host"] and params["login_unix_socket"]:
        expected = "left out where login_host is given: a connection takes one way"
        raise OptionError(f"{prefix}login_unix_socket", params["login_unix_socket"], expected)
    for name, (least, most, expected) in _LIMITS.items():
        require_between(params[name], least, most, option=f"{prefix}{name}", expected=expected)
    for name in ("ca_cert", "client_cert", "client_key"):
        _require_file(params[name], option=f"{prefix}{name}")
    known = _from_file(params["config_file"], option=f"{prefix}config_file")
    host, socket = params["login_host"] or "", params["login_unix_socket"] or ""
    port = params["login_port"]
    if not host and not socket:
        socket = known.get("socket", "")
        host = "" if socket or known.get("host") in ("localhost", None) else known["host"]
        port = int(known["port"]) if known.get("port", "").isdecimal() else port
    if not host and not socket:
        socket = next((path for path in SOCKETS if os.path.exists(path)), SOCKETS[0])
    user = params["login_user"] or known.get("user") or _own_name()
    # A password belongs to the user beside whom it stands.
    theirs = known.get("password", "") if user == known.get("user") or not params["login_user"] else ""
    return Login(
        socket=socket,
        host=host,
        port=port,
        user=user,
        password=params["login_password"] or theirs,
        ca_cert=params["ca_cert"] or known.get("ssl-ca", ""),
        client_cert=params["client_cert"] or known.get("ssl-cert", ""),
        client_key=params["client_key"] or known.get("ssl-key", ""),
        check_hostname=params["check_hostname"],
        connect_timeout=params["connect_timeout"],
        statement_timeout=params["statement_timeout"],
    )


def _require_file(path: str | None, *, option: str) -> None:
    if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise OptionError(option, path, "a file on this host that this user can read")


def _from_file(path: str | None, *, option: str) -> Mapping[str, str]:
    """What the file of options says, or the user's own ``~/.my.cnf`` where none is named and there is one."""
    _require_file(path, option=option)
    own = os.path.join(pwd.getpwuid(os.geteuid()).pw_dir, ".my.cnf")
    chosen = path or (own if os.path.isfile(own) and os.access(own, os.R_OK) else "")
    return read_client_options(chosen) if chosen else {}


def _own_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
