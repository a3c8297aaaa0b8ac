# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password as the server keeps it (RFC 5802, RFC 7677): it gets this and never the password itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

ITERATIONS = 4096


def verifier(password: str, *, salt: bytes = b"", iterations: int = ITERATIONS) -> str:
    """What ALTER ROLE ... PASSWORD takes in place of an ASCII password, with a salt of its own."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(_sign(salted, b"Client Key")).digest()
    server = _sign(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def matches(password: str, kept: str) -> bool:
    """Whether what the server keeps is of this password; never of one that is kept in another way, such as MD5."""
    try:
        _scheme, setting, _keys = kept.split("$")
        iterations, _colon, salt = setting.partition(":")
        return hmac.compare_digest(kept, verifier(password, salt=base64.b64decode(salt), iterations=int(iterations)))
    except (ValueError, binascii.Error):
        return False


def _sign(key: bytes, words: bytes) -> bytes:
    return hmac.new(key, words, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
