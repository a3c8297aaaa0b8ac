# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters that make words, and letters that were drawn: ``mp3player`` is a word, ``x7kqpwmzrt`` somebody's token."""

from __future__ import annotations

import re

#: The pairs of letters that make nine tenths of those in English words, by their first letter.
_FOLLOWING = (
    "a:abcdfgiklmnprstuvxy b:abceilorsu c:acdehiklorstu d:abcdefilorstu e:abcdefgilmnopqrstvwxy "
    "f:adefilorstu g:aehilnorsu h:aeiot i:abcdefglmnoprstvxz k:aeis l:adeilostuy m:abeimopsu "
    "n:acdefgiklnopstuv o:abcdfgiklmnoprstuvw p:aehiloprstuy q:u r:acdegiklmnoprstuy s:acehiklmopstuy "
    "t:acdefhilmoprstuy u:abcdefilmnprst v:aei w:aeio x:pt y:ps z:e "
)
_USUAL = frozenset(group[0] + second for group in _FOLLOWING.split() for second in group[2:])
#: Names of formats, protocols and units, of which words are made in paths and which are no words themselves.
_SHORT = (
    "html xhtml xml xlsx docx pptx json jpg jpeg png gif svg webp webm mpg mp pdf csv tsv kml gpx tcx sql "
    "mysql pgsql nosql https http ftp sftp ssl tls ssh dns vpn gps usb ddr rtx gtx php css js npm aes cbc "
    "gcm rsa sha md hmac jwt sdk api vw hz khz mhz ghz nba nfl nhl mlb tv dvd cd hd uhd hdmi gb mb kb tb "
    "xbox ps pc vr crm cms faq rss smtp imap nginx cfg jdk jvm wpf gpt llm kw kwh suv mph kmh xl xs xxl "
    "km cm mm kg lb lbs qty sku id ids db pg ws rpc grpc tcp udp ip mpls bgp ospf vlan wlan lan wan "
)
_BEGIN = re.compile("|".join(sorted(_SHORT.split(), key=len, reverse=True)))
_END = re.compile(f"(?:{_BEGIN.pattern})$")
_LETTERS = re.compile(r"[a-z]+")
#: Consonants that stand so long without a vowel in no word.
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")
#: A number so long is no part of a name.
_NUMBER = re.compile(r"\d{6}")
#: From so many unusual pairs on, and from this share of all pairs, letters were drawn.
_LEAST, _SHARE = 2, 0.25


def is_drawn(text: str) -> bool:
    """Whether letters and digits look like a token: too long a number, or letters as words do not have them."""
    if _NUMBER.search(text):
        return True
    pairs = unusual = 0
    for letters in _LETTERS.findall(text.lower()):
        begin = _BEGIN.match(letters)
        rest = _END.sub("", letters[begin.end() :] if begin else letters)
        if _CONSONANTS.search(rest):
            return True
        pairs += max(0, len(rest) - 1)
        unusual += sum(first + second not in _USUAL for first, second in zip(rest, rest[1:]))
    return unusual >= _LEAST and unusual > _SHARE * pairs
