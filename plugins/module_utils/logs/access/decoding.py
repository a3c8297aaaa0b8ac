# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request text as the application would come to see it, whatever it was wrapped in.

The transformations are those of the OWASP Core Rule Set (urlDecodeUni, htmlEntityDecode, jsDecode, utf8toUnicode,
removeNulls, replaceComments, compressWhitespace, lowercase), done here once and in one order for all rules.
"""

from __future__ import annotations

import html
import re
import unicodedata
from contextlib import suppress

#: Of one text so many bytes are looked at; attacks stand at its front, and what is longer is a finding by itself.
MAX_BYTES = 4096

_PERCENT = re.compile(r"%(?:u([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))")
# How nginx (\x22) and Apache (\x22, \", \\, \n) write what they will not write as it is.
_LOG_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")
_JS_ESCAPE = re.compile(r"\\(?:u\{?0{0,4}([0-9a-fA-F]{2,4})\}?|x([0-9a-fA-F]{2}))")
# A character of seven bits spread over two or three bytes: invalid UTF-8 that lax decoders accept.
_OVERLONG = re.compile("[\xc0\xc1]([\x80-\xbf])|\xe0([\x80\x81])([\x80-\xbf])")
_MYSQL_COMMENT = re.compile(r"/\*!\d{0,6}([^*]{0,400})\*/")
_COMMENT = re.compile(r"/\*.{0,400}?\*/", re.DOTALL)
_SPACES = re.compile(r"[^\S\n]+")


def decode_log(raw: bytes) -> bytes:
    """What the server's log escaped, as it was sent."""
    if b"\\" not in raw:
        return raw
    return _LOG_ESCAPE.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else found[2], raw)


def _unpercent(text: str) -> str:
    return _PERCENT.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def _overlong(found: re.Match[str]) -> str:
    if found[1]:
        return chr((ord(found[0][0]) & 1) << 6 | ord(found[1]) & 0x3F)
    return chr((ord(found[2]) & 1) << 6 | ord(found[3]) & 0x3F)


def decode(raw: bytes, *, plus: bool) -> str:
    """A path or a parameter decoded, in lower case, comments and surplus spaces gone; ``plus`` stands for a space.

    Ends of lines stay: they part commands of a shell and fields of a header.
    """
    text = decode_log(raw[:MAX_BYTES]).decode("latin-1")
    if plus:
        text = text.replace("+", " ")
    if "%" in text:
        text = _unpercent(text)
        if "%" in text:
            text = _unpercent(text)
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _JS_ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    if not text.isascii():
        text = _unicode(text)
    if "/*" in text:
        text = _COMMENT.sub(" ", _MYSQL_COMMENT.sub(r" \1 ", text))
    return _SPACES.sub(" ", text.replace("\x00", "").lower())


def _unicode(text: str) -> str:
    """Overlong sequences and fullwidth letters back to the plain ones that they stand for."""
    text = _OVERLONG.sub(_overlong, text)
    # What is not UTF-8, or is characters already (%uff1c), stays as it is.
    with suppress(UnicodeEncodeError, UnicodeDecodeError):
        text = text.encode("latin-1").decode("utf-8")
    text = unicodedata.normalize("NFKC", text)
    return text.translate(_QUOTES)


#: Typographic quotes that a database's character set conversion turns into the plain one.
_QUOTES = {0x2018: "'", 0x2019: "'", 0x02BC: "'", 0x2032: "'", 0x201C: '"', 0x201D: '"', 0x2215: "/", 0x2216: "\\"}
