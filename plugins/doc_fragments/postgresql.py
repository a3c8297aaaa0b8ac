# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that talks to PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents ``postgresql.client.ARGUMENTS``."""

    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Name or address of the server, for a connection by TCP, also to a container's published port.
      - Without it, and without O(login_unix_socket), libpq decides, which takes the local socket.
    type: str
  login_unix_socket:
    description: Folder of the server's socket, such as C(/run/postgresql).
    type: path
  login_port:
    description: The server's port, which is part of the socket's name too.
    type: int
    default: 5432
  login_user:
    description:
      - The role to log in as. For checks a member of C(pg_monitor) is enough; superuser is not needed.
      - Without it libpq takes the name of the operating system's user.
    type: str
  login_password:
    description:
      - The role's password. Without it libpq looks into C(PGPASSWORD) and the file that C(PGPASSFILE) names.
    type: str
  login_db:
    description: The database to connect to first.
    type: str
    default: postgres
  ssl_mode:
    description:
      - How much TLS is asked for. Only V(verify-ca) and V(verify-full) prove whom one talks to.
    type: str
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
    default: prefer
  ca_cert:
    description: File on the host with the certificates of the authorities that may have signed the server's.
    type: path
    aliases: [ssl_rootcert]
  ssl_cert:
    description: File on the host with the client's certificate.
    type: path
  ssl_key:
    description: File on the host with the key of O(ssl_cert).
    type: path
  peer_user:
    description:
      - User of the operating system as whom root takes the local socket when no O(login_user) is named, so that peer
        authentication lets it in. An empty text turns this off.
    type: str
    default: postgres
  connect_timeout:
    description: Seconds that one attempt to connect may take, from 1 to 3600.
    type: int
    default: 10
  statement_timeout:
    description:
      - Seconds that one question to the server may take, from 0.1 to 86400. What takes longer is reported as
        V(unknown).
    type: float
    default: 30.0
requirements:
  - psycopg 3.1 or newer on the host, which is C(python3-psycopg) on Debian 12 and newer
"""
