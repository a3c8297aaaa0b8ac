# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a redirect may lead: decided without touching the network (RFC 9110 section 15.4)."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.connection import Trouble
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import Endpoint
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import PORTS, Url, UrlError, join, same_site


@dataclass(frozen=True)
class Hop:
    """The next request. ``trusted``: it goes where the endpoint's own credentials may go."""

    url: Url
    method: str
    trusted: bool


def first(endpoint: Endpoint) -> Hop:
    return Hop(endpoint.url, endpoint.method, trusted=True)


def following(endpoint: Endpoint, hop: Hop, *, status: int, location: str, seen: list[Url]) -> Hop:
    """The hop that a redirect asks for; raises Trouble when the endpoint's policy or the redirect itself forbids it."""
    if not location:
        raise Trouble("redirect", f"status {status} came without a Location")
    try:
        url = join(hop.url, location)
    except UrlError as error:
        raise Trouble("redirect", f"Location is not {error}") from None
    if url in seen:
        raise Trouble("redirect", f"it goes in a circle at {url.shown}")
    if len(seen) > endpoint.max_redirects:
        raise Trouble("redirect", f"more than {counted(endpoint.max_redirects, 'redirect')}, the last to {url.shown}")
    if hop.url.scheme == "https" and url.scheme == "http" and not endpoint.redirect_downgrade:
        raise Trouble("redirect", f"it leads from https to plain http: {url.shown}")
    if not same_site(hop.url, url) and not endpoint.redirect_other_host:
        raise Trouble("redirect", f"it leads to another host: {url.shown}")
    to_get = status == 303 or (status in (301, 302) and hop.method == "POST")
    method = "GET" if to_get and hop.method != "HEAD" else hop.method
    trusted = hop.trusted and _keeps_trust(hop.url, url)
    if method == "POST" and not trusted:
        raise Trouble("redirect", f"it would carry the POST to another origin: {url.shown}")
    return Hop(url, method, trusted=trusted)


def _keeps_trust(old: Url, new: Url) -> bool:
    """Credentials stay with their origin; only the step from http to https on the usual ports may take them along."""
    upgrade = old.host == new.host and (old.scheme, new.scheme) == ("http", "https")
    return old.origin == new.origin or (upgrade and old.port == PORTS["http"] and new.port == PORTS["https"])
