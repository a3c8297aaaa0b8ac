# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a word for something secret is hidden, unless it is one of the words that usually follow there.

Behind a sign (``password=``, ``token:``) all is hidden. Behind a blank is either the secret (``password topsecret``)
or what the sentence says of it (``password authentication failed``), and a secret may look like any word. So the words
of sentences are known, and every other is hidden: a sentence that loses a word is better than a report with a password.
"""

from __future__ import annotations

import re

#: Behind a sign whatever it is, unless the word is the name of an error (``JsonWebTokenError: jwt expired``); behind a
#: blank what no word looks like. Texts and numbers may have their names by then.
_SECRET = re.compile(
    rb"(?i:((?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|(?:\b|[_-]|api|access|private)key)[\w-]{0,30}(?<!error)(?<!exception))"
    rb"([\"']?\s{0,3}[:=]\s{0,3}))(?!(?:YES|NO)\))[^\s,;&\"'<][^\s,;&\"']{0,400}"
    rb"|(?i:((?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|key)s?)(\s{1,3}))"
    rb"(?=[^\s<]{0,100}?(?:[a-z][A-Z]|\w<n>|<n>\w|[A-Za-z]\d|\d[A-Za-z]))[^\s,;&\"']{2,400}"
)
#: The end of a word for something secret. A parser's tokens are none.
_NAMED = re.compile(
    rb"(?i)(?<!unexpected )(?<!illegal )(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential"
    rb"|(?:api|access|private|secret|signing|encryption|license)[ _-]?key)s?(?=\s)"
)
#: What may stand between the two: ``password is``, ``passphrase given was``, ``password to``.
_BETWEEN = re.compile(
    rb"(?i)\s{1,3}(?:is|was|are|were|be|being|to|as|of|used|given|entered|typed|supplied|provided|value|string|with"
    rb"|set|reset|changed)[:=]?(?=\s)"
)
_WORD = re.compile(
    rb"(\s{1,3})(?:\"[^\"]{0,400}\"|'[^']{0,400}'|((?:[^\s,;&\"'`<>()\[\]{}|]|<[a-z]{1,9}>){2,400}(?:'(?:s|t|re|ve)\b)?))"
)
#: A field with a value is no secret by itself: what is behind the sign was looked at before.
_FIELD = re.compile(rb"\s{1,3}[\w.-]{1,40}=(?![=\s]|\Z)")
_ENDS = b".:!?"
#: What a template has in the place of a number, an address and the like; and what makes a word more than signs.
_NAME = re.compile(rb"<[a-z]{1,9}>")
_PLAIN = re.compile(rb"[\w\x80-\xff]")
#: A passphrase is not longer than so many words.
_MOST_WORDS = 8
#: Words that follow in what programs say: PostgreSQL, MySQL, OpenSSH, PAM, systemd, cURL, libraries for JWT and OAuth.
_SENTENCE = frozenset(
    b"""
    a about above abuse accept accepted accepting accepts access according account accounts across action active
    actually add added after again against age aged agent aging algorithm all allow allowed already also always am
    an and another any anyway api app appear appears application applied apply are aren't argument arguments
    arrived as ask asked asks assertion assign assigned assignment associated assumed at attack attacks attempt
    attempts attestation attribute attributes aud audience auth authenticate authenticated authenticating
    authentication authenticator authorization available away back backend bad based be bearer became because
    becomes been before began being below between bit bits blacklisted blank blocked body both bound box brace
    bracket breach breached brute bucket budget buffer but button by byte bytes cache cached call callback called
    came can can't cannot case cause caused cert certificate challenge change changed changes changing character
    characters check checked checker checking checks child claim claims class clause clear cleared cleartext
    client code column combination combinations comes comma command compare comparing comparison complexity
    component compromised conf config configuration configured confirmation connect connection consumed contain
    contained containing contains contents context cookie copied copies copy copying correct corrupt corrupted
    could couldn't count create created creating creation credential credentials crl csrf current currently curve
    damaged data database date days db decode decoded decoder decoding decrypt decrypted decryption decrypts
    default defaults defined definition delegation delete deleted deletion denied deprecated derivation derive
    described detail details device dialog dictionary did didn't different digest digit digits dir directory
    disable disabled disabling do document does doesn't domain don't done due duplicate duplicated during each
    either element email emailed embedded emitted empty enable enabled enabling encode encoded encoding
    encountered encrypt encrypted encryption encrypts end ended endpoint engine enroll enrolled enter entered
    entries entry environment error errors estimate estimated even event events every example examples exceed
    exceeded exceeds except exception exchange exchanged exhausted exists exp expected expiration expire expired
    expires expiring expiry exposed extended extension external extracted extraction facility failed fails failure
    failures false family fetch fetched fetching field fields file files first flow folder follow followed
    following for forget forgetting forgot forgotten form format formats found from function garbled generated
    generating generation generator generic get getting given got grace grant granted group guess guessable
    guesses guessing had hadn't handler handling handshake has hash hashed hashes hashing hasn't have haven't
    header headers held helper here hint history hold holds host hour hours how however id identifier if ignore
    ignored illegal immediately in inactive inactivity include included includes including incoming incomplete
    incorrect indicated indicates info information initialization input input/output insert insertion inside
    install installed instance instead integrity interface internally interprets interval into introspection
    invalid invalidated is isn't iss issue issued issuer issues issuing it its jti just jwt kerberos kernel key
    keyed keyid keyring keys kid kind lacking lacks last ldap leak leaked left len length letter letters level
    library lifetime like limit limits line link list listed literal load loaded loading local location lock
    locked locking log logged login logins long longer lookup lookups lost low lower lowercase made mail mailed
    mailing making malformed manager manipulation many mapping masked match matched matches matching max maximum
    may mechanism membership message method middleware might migrated min minimum minus minute minutes mismatch
    mismatched missing mode modification modified module more most mount mounted must name named names nan nbf
    need needed needs never new next nil no node nonce none nor not nothing now null number oauth object obtained
    of off offset ok old older omitted on once one only onto openid operation operator option optional options or
    order other otp our out output over owner packet page pair palindrome parameter parameters parenthesis parse
    parsed parser parsing part parts passed passing passphrase password passwords path payload peer peppered per
    period permission permissions permits pin place placed placement plaintext please plugin plus pointer policies
    policy pool position possible present presented previous previously prior problem process processing prompt
    prompted prompting proof property protect protected protection provide provided provider pushed pwned quality
    queries query quota radius random randomly rate rather reached read reading realm reason received receiving
    recently recover recovering recovery redacted reflected refresh refreshed refreshing refused region registered
    rejected rejecting rejects release reload relying remaining remains remote removed renew renewal renewed
    renewing repeated replace replaced replacement replaces replacing replay reported request requested requests
    require required requirement requirements requires reset reset-link resetting resource response responses
    restricted restrictions result retains retrieval retries retrieved retry retryable returned returns retyped reuse
    reused revocation revoke revoked revoking role root's rotate rotated rotates rotating rotation route rule
    rules safety salt salted salting same saml sandbox saved scheme scope scopes scram screen sealing search
    searches second seconds secret secrets security see seems segment send sending sent separated server service
    session set sets setting settings several shall shared short should shouldn't sign signature signed signing
    similar simple simplistic since size sms so source space spaces spanning spec special specific specification
    specified split spray spraying standard start starting state statement status step still storage store stored
    stores storing strength string strip strong stronger struct structure stuffing sub subject submitted
    substitution succeed succeeded succeeding succeeds success successful successfully such suggested suggestion
    suggestions supplied support supported symbol symbols sync system table tables taken temporarily temporary
    tenant text than that the their them then there these they this those through ticket tickets time timed
    timeout times timestamp to together token tokens too tool tools totp transformation transmitted tree tried
    true truncated trust trusted try trying twice two type typed types unable unauthorized unavailable unchanged
    undefined under unencoded unescaped unexpected unique unknown unless unlock unlockable unlocked unlocking
    unsafe unset unsigned unsupported until untrusted unusable unverified update updated updates updating upgrade
    upon uppercase uri url usage use used user user's username users uses using util valid validate validated
    validating validation validator validity value values vault verification verified verifier verify verifying
    version via view violates violation visible volume waiting was wasn't we weak were weren't when where whether
    which while whitespace who whose will with within without won't workspace would wouldn't write writing written
    wrong xsrf yes yet you your zero
    """.split()
)


def hide(text: bytes) -> bytes:
    """The text with ``***`` in the place of what may be secret in it. Quoted texts may have their names by then."""
    return _hide_words(_SECRET.sub(_hidden, text))


def _hidden(found: re.Match[bytes]) -> bytes:
    word, sign = (group for group in found.groups() if group is not None)
    return word + sign + b"***"


def _hide_words(text: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    for found in _NAMED.finditer(text):
        if found.start() < at:
            continue
        end = found.end()
        between = _BETWEEN.match(text, end)
        while between:
            end = between.end()
            between = _BETWEEN.match(text, end)
        after = _end_of_secret(text, end)
        if after > end:
            blank = _WORD.match(text, end)
            parts += [text[at:end], blank[1] if blank else b" ", b"***"]
            at = after
    return b"".join([*parts, text[at:]]) if parts else text


def _end_of_secret(text: bytes, at: int) -> int:
    """Where the words end, from ``at`` on, that no sentence is known to hold there."""
    for _word in range(_MOST_WORDS):
        found = _WORD.match(text, at)
        if found is None or _FIELD.match(text, at):
            return at
        if found[2] is None:
            return found.end()
        bare = found[2].rstrip(_ENDS)
        if bare.lower() in _SENTENCE or not _PLAIN.search(_NAME.sub(b"", bare)):
            return at
        at = found.end() - (len(found[2]) - len(bare))
        if at < found.end():
            return at
    return at
