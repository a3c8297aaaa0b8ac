# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``postgresql_vacuum``, each refused in one sentence where it makes no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import Manner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice

#: How a table is named whose rewrite is asked for.
_NAMED: Mapping[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "database": {"type": "str", "required": True},
        "schema": {"type": "str", "default": "public"},
        "table": {"type": "str", "required": True},
    },
}
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    "databases_exclude": {"type": "list", "elements": "str", "default": []},
    "tables": {"type": "list", "elements": "str", "default": []},
    "tables_exclude": {"type": "list", "elements": "str", "default": []},
    "vacuum": {"type": "bool", "default": True},
    "analyze": {"type": "bool", "default": True},
    "need_percent": {"type": "int", "default": 100},
    "jobs": {"type": "int", "default": 2},
    "lock_timeout": {"type": "float", "default": 2.0},
    "table_timeout": {"type": "float", "default": 3600.0},
    "total_time": {"type": "float", "default": 14400.0},
    "replica_lag_max": {"type": "int", "default": 1024**3},
    "io_pressure_max": {"type": "float", "default": 50.0},
    "patience": {"type": "float", "default": 60.0},
    "cost_delay": {"type": "float", "default": 0.0},
    "buffer_usage_limit": {"type": "str"},
    "parallel": {"type": "int"},
    "index_cleanup": {"type": "str", "default": "auto", "choices": ["auto", "on", "off"]},
    "truncate": {"type": "bool", "default": False},
    "full": _NAMED,
    "full_max_bytes": {"type": "int", "default": 1024**3},
    "full_min_percent": {"type": "float", "default": 30.0},
    "repack": _NAMED,
    "repack_max_bytes": {"type": "int", "default": 10 * 1024**3},
    "free_bytes": {"type": "int"},
    "unseen_bytes": {"type": "int", "default": 256 * 1024**2},
}
#: From, to, and what it counts.
_RANGES: Mapping[str, tuple[float, float, str]] = {
    "need_percent": (30, 1000, "percent"),
    "jobs": (1, 32, "connections"),
    "lock_timeout": (0.01, 3600, "seconds"),
    "table_timeout": (0.1, 604800, "seconds"),
    "total_time": (0, 604800, "seconds, 0 for no limit,"),
    "replica_lag_max": (0, 2**50, "bytes, 0 for not looking,"),
    "io_pressure_max": (0, 100, "percent, 0 for not looking,"),
    "patience": (0, 86400, "seconds"),
    "cost_delay": (0, 100, "milliseconds"),
    "parallel": (0, 1024, "workers"),
    "full_max_bytes": (0, 2**50, "bytes"),
    "full_min_percent": (1, 100, "percent"),
    "repack_max_bytes": (0, 2**50, "bytes"),
    "free_bytes": (0, 2**60, "bytes"),
    "unseen_bytes": (0, 2**60, "bytes"),
}
#: A size as the server writes it, in kB where it has no unit, and what the server takes (vacuum_buffer_usage_limit).
_SIZE = re.compile(r"(\d{1,9}) ?(B|kB|MB|GB|TB)?")
_UNITS: Mapping[str, int] = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_LEAST_RING, _MOST_RING = 128 * 1024, 16 * 1024**3


@dataclass(frozen=True)
class Wanted:
    """All that the user asks for."""

    choice: Choice
    manner: Manner
    allowance: Allowance
    jobs: int
    databases_exclude: tuple[str, ...]
    free_bytes: int | None = None


def read_wanted(params: Mapping[str, Any]) -> Wanted:
    """Raises OptionError."""
    for option, (least, most, unit) in _RANGES.items():
        value = params[option]
        if value is not None:
            require_between(value, least, most, option=option, expected=f"{unit} from {least:g} to {most:g}")
    ring = params["buffer_usage_limit"] or ""
    if ring and not _is_ring(ring):
        raise OptionError("buffer_usage_limit", ring, "a size from 128kB to 16GB such as 2MB, or 0 for no limit")
    if not params["vacuum"] and not params["analyze"]:
        raise OptionError("analyze", False, "true where vacuum is false: nothing would be left to do")
    full, repack = _named(params["full"]), _named(params["repack"])
    twice = set(full) & set(repack)
    if twice:
        raise OptionError(
            "repack", ".".join(min(twice)), "a table that is not in full too: one way of rewriting is enough"
        )
    return Wanted(
        choice=Choice(
            vacuum=params["vacuum"],
            analyze=params["analyze"],
            tables=tuple(params["tables"]),
            tables_exclude=tuple(params["tables_exclude"]),
            share=params["need_percent"] / 100.0,
            full=full,
            full_max_bytes=params["full_max_bytes"],
            full_min_percent=params["full_min_percent"],
            repack=repack,
            repack_max_bytes=params["repack_max_bytes"],
            unseen_bytes=params["unseen_bytes"],
        ),
        manner=Manner(
            lock_timeout=float(params["lock_timeout"]),
            table_timeout=float(params["table_timeout"]),
            cost_delay=params["cost_delay"],
            truncate=params["truncate"],
            index_cleanup=params["index_cleanup"],
            parallel=params["parallel"],
            buffer_usage_limit=ring,
        ),
        allowance=Allowance(
            total=params["total_time"],
            lag=params["replica_lag_max"],
            pressure=params["io_pressure_max"],
            patience=params["patience"],
        ),
        jobs=params["jobs"],
        databases_exclude=tuple(params["databases_exclude"]),
        free_bytes=params["free_bytes"],
    )


def require_looked_at(wanted: Wanted, databases: Sequence[DatabaseName]) -> None:
    """Refuse a table to rewrite in a database that this server has not, or that is left out. Raises OptionError."""
    looked_at = {
        one.name
        for one in databases
        if one.open and not one.template and not any(fnmatchcase(one.name, glob) for glob in wanted.databases_exclude)
    }
    for option, named in (("full", wanted.choice.full), ("repack", wanted.choice.repack)):
        for table in named:
            if table[0] not in looked_at:
                expected = "a table in a database of this server that databases_exclude does not leave out"
                raise OptionError(option, ".".join(table), expected)


def _is_ring(words: str) -> bool:
    found = _SIZE.fullmatch(words)
    size = int(found[1]) * _UNITS[found[2] or "kB"] if found else -1
    return size == 0 or _LEAST_RING <= size <= _MOST_RING


def _named(entries: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str, str], ...]:
    return tuple((entry["database"], entry["schema"], entry["table"]) for entry in entries)
