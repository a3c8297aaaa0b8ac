# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote file inclusion, and requests that the server is made to send to where only it can."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import (
    NOTICE,
    WARNING,
    Rule,
    rule,
)

#: What a server would run.
SCRIPT_NAMES = (
    r"php\d?|phtml|pht|phar|jspx?|jspf|aspx?|ashx|asmx|cer|cfm|cgi|pl|py|rb|sh|exe"
    r"|dll|bat|ps1|war|shtml"
)
#: The address of another server in a parameter, up to the end of its path.
REMOTE = r"=\s?(?:https?|ftps?|\\\\)(?::)?//?[^\x1f]{1,200}?"

RULES: Sequence[Rule] = (
    rule(
        "address",
        "rfi",
        (
            r"=\s?(?:https?|ftps?)://\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?/[^\x1f]{0,200}?(?:\."
            r"(?:txt|gif|jpe?g|png|dat|inc|sh|" + SCRIPT_NAMES + r")(?=$|[?\x1f])|\?$|\?\x1f)"
        ),
    ),
    rule(
        "address-bare",
        "rfi",
        (
            r"=\s?(?:https?|ftps?)://(?:\d{1,3}(?:\.\d{1,3}){3}|0x[0-9a-f]{6,}|\d{8,10})"
            r"(?=[:/\x1f]|$)"
        ),
        score=WARNING,
    ),
    rule(
        "parameter",
        "rfi",
        (
            r"\x1f(?:[\w\[\]]{0,20}_?(?:path|root|dir|include|inc|file|page|template|tpl"
            r"|module|mosconfig_absolute_path|document|folder|lib|skin|content|layout|conf"
            r"|config|lang|load|read|view|cont|plugin|theme))"
            + REMOTE
            + r"(?:\.(?:txt|inc|dat|log|gif|jpe?g|png|"
            + SCRIPT_NAMES
            + r")\??(?=$|\x1f)|\?$|\?\x1f)"
        ),
        # Whoever makes thumbnails asks for pictures of others all day.
        (
            r"\x1f[\w\[\]]{0,20}_?(?:img|src)"
            + REMOTE
            + r"(?:\.(?:txt|inc|dat|log|"
            + SCRIPT_NAMES
            + r")\??(?=$|\x1f)|\?$|\?\x1f)"
        ),
    ),
    rule(
        "question",
        "rfi",
        r"=\s?(?:https?|ftps?)://[^\x1f?]{1,200}\.(?:txt|inc|php\d?)\?+(?:cmd=|$|\x1f)",
    ),
    rule(
        "metadata",
        "rfi",
        r"169\.254\.169\.254",
        r"metadata\.google\.internal",
        r"100\.100\.100\.200",
        r"\[::ffff:a9fe:a9fe\]",
        r"\[fd00:ec2::254\]",
        r"/latest/meta-data",
        r"instance-data/",
    ),
    rule(
        "inside",
        "rfi",
        (
            r"=\s?(?:https?|ftp)://(?:127\.\d|localhost|0\.0\.0\.0|\[::1?\]|10\.\d|192\.168\."
            r"|172\.(?:1[6-9]|2\d|3[01])\.)"
        ),
        level=2,
    ),
    rule(
        "outside",
        "rfi",
        r"=\s?(?:https?|ftps?)://",
        score=NOTICE,
        level=3,
    ),
)
