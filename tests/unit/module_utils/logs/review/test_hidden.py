# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets behind a blank, and sentences about secrets: the first are hidden, the others stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.hidden import hide
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.templates import example, template

#: What was logged, and what is left of it.
SECRETS = {
    "login failed: password topsecret": "login failed: password ***",
    "login with password topsecret failed for bob": "login with password *** failed for bob",
    "token abcdefgh": "token ***",
    "token abcdefgh expired at noon": "token *** expired at noon",
    "passwd is hunter": "passwd is ***",
    "the password was sesame, which is wrong": "the password was ***, which is wrong",
    "Password Topsecret rejected": "Password *** rejected",
    "PASSWORD HUNTER": "PASSWORD ***",
    "user bob changed password to swordfish.": "user bob changed password to ***.",
    "password given was swordfish": "password given was ***",
    "password used: swordfish": "password used: ***",
    "passphrase battery staple horse is too short": "passphrase *** is too short",
    "credentials bob/swordfish were rejected": "credentials *** were rejected",
    "using secret zanzibar": "using secret ***",
    "api key qwertyuiop not accepted": "api key *** not accepted",
    "private-key asdfghjkl": "private-key ***",
    "access_key qwertyuiop": "access_key ***",
    "db_password swordfish refused by server": "db_password *** refused by server",
    "pwd swordfish": "pwd ***",
    "invalid token qwerty-asdf-zxcv": "invalid token ***",
    "secret token abcdefgh": "secret token ***",
    "token of session abcdefgh, token zyxwvuts": "token of session abcdefgh, token ***",
    "password p@ss!word": "password ***",
    "password reset tulip": "password reset ***",
}
SENTENCES = """
password authentication failed for user
FATAL: password authentication failed for user
FATAL: no password supplied
fe_sendauth: no password supplied
DETAIL: User has no password assigned.
DETAIL: Password does not match for user
DETAIL: User has an expired password.
DETAIL: Connection matched password file line
password is too long
password changed for root
password for user postgres
password must not contain user name
password must be at least 8 characters
could not open password file
server requested SCRAM-SHA-256 authentication, but no password was supplied
received password packet
invalid password packet size
Failed password for invalid user x from
Failed password for root from
Accepted password for deploy from
error: PAM: Authentication token manipulation error for root
error: PAM: Authentication token is no longer valid; new one required for bob
pam_unix(sshd:auth): authentication failure; password check failed for user
password check failed for user (bob)
Changing password for bob
password updated successfully
password unchanged
passwd entry is locked
Account or password is expired, reset your password and try again
maximum number of password retries exhausted
Permission denied (publickey,password)
sudo: a password is required
sudo: 3 incorrect password attempts
sudo: no tty present and no askpass program specified
Access denied for user
Your password has expired. To log in you must change it using a client that supports expired passwords.
Your password does not satisfy the current policy requirements
Plugin caching_sha2_password reported
root is created with an empty password !
A temporary password is generated for root@localhost
You must reset your password using ALTER USER statement before executing this statement.
SET PASSWORD has no significance for user
JsonWebTokenError: invalid token
TokenExpiredError: token expired
jwt: token is expired by
jwt: token signature is invalid
token contains an invalid number of segments
token has been revoked
token is not yet valid
access token missing in header
refresh token not found
refresh token already used
invalid csrf token
CSRF token mismatch
CSRF token from the session cookie is missing
Missing token in request
token validation failed
token endpoint answered
token bucket is empty for client
Unexpected token < in JSON at position
SyntaxError: Unexpected token export
SyntaxError: Unexpected token o in JSON
unexpected token near here
syntax error, unexpected token function
secret not found
secret manager is unavailable
client secret is missing
secret or public key must be provided
secretOrPrivateKey must have a value
shared secret mismatch
invalid credentials
credentials rejected by server
Bad credentials
could not load credentials from file
Credentials expired
private key does not match certificate
private key file not found
access key is inactive
API key not valid. Please pass a valid API key.
api key expired
passphrase required for key
incorrect passphrase supplied to decrypt private key
SSL: cannot load private key file
duplicate key value violates unique constraint
Host key verification failed.
no matching host key type found
primary key missing
tokens per minute exceeded
passwords don't match
the password wasn't accepted
Token doesn't match
password hash is outdated
password reset requested for account
password reset link sent
forgot-password page failed to render
""".strip().splitlines()


@pytest.mark.parametrize(("line", "wanted"), SECRETS.items())
def test_a_secret_behind_a_blank_is_hidden(line: str, wanted: str) -> None:
    assert hide(line.encode()).decode() == wanted
    assert template(line.encode()) == wanted
    assert example(line.encode()) == wanted


@pytest.mark.parametrize("line", SENTENCES)
def test_a_sentence_about_a_secret_stays_as_it_is(line: str) -> None:
    assert hide(line.encode()).decode() == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"password 'top secret' refused", "password *** refused"),
        (b'token "abc def" refused', "token *** refused"),
        (b"passcode 4711 refused", "passcode *** refused"),
        (b"token id=5 unknown", "token id=5 unknown"),
        (b"token abcdefgh== refused", "token *** refused"),
    ],
)
def test_an_example_shows_no_quoted_secret(line: bytes, shown: str) -> None:
    assert example(line) == shown


@given(st.lists(st.sampled_from(["password", "token", "is", "to", "=", "'", "***", "hunter", "for", "\t", "<n>"])))
def test_what_was_hidden_once_stays_hidden(words: list[str]) -> None:
    once = hide(" ".join(words).encode())
    assert hide(once) == once


@given(st.binary(max_size=400))
def test_any_bytes_can_be_hidden(text: bytes) -> None:
    hide(text)
