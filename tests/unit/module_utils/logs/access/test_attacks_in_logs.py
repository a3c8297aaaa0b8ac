# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts, possible successes, logins and uploads, and what hostile lines can do."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import logins as logins_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import workers as workers_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import NOTHING
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.bounded import BoundedCounter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.logins import Logins
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.scoring import Scorer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import pieces
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.access.conftest import (
    Review,
    line,
    of,
    review_in,
    write,
)

UNION = "/books?id=1%20union%20select%20password%20from%20users--%20SECRETVALUE"
ORDINARY = [line(f"/books?id={n}", size=4000 + n % 7) for n in range(200)]


def test_an_attack_answered_like_everything_else_is_an_attempt(review: Review, tmp_path: Path) -> None:
    result = review(write(tmp_path / "a.log", *ORDINARY, line(UNION, size=4003)))

    assert of(result, "http_attacks")["value"] == 1
    assert "SQL injection 1" in of(result, "http_attacks")["summary"]
    assert of(result, "http_attack_success")["value"] == 0


def test_an_attack_answered_with_another_size_may_have_succeeded(review: Review, tmp_path: Path) -> None:
    result = review(write(tmp_path / "a.log", *ORDINARY, line(UNION, size=90000, address="198.51.100.8")))

    success = of(result, "http_attack_success")
    assert success["status"] == "warning"
    assert success["value"] == 1
    assert success["evidence"] == ["SQL injection from 198.51.100.8, 1 answer of 87.9 KiB, at GET /books"]


def test_the_usual_sizes_of_a_route_are_remembered(review: Review, tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", *ORDINARY)
    review(path)
    with path.open("a", encoding="utf-8") as log:
        log.write(line(UNION, size=90000) + line(UNION, size=4001))

    success = of(review(path), "http_attack_success")

    assert success["value"] == 1
    assert "of 2 attacks" in success["summary"]


def test_without_a_baseline_nothing_is_claimed(review: Review, tmp_path: Path) -> None:
    success = of(review(write(tmp_path / "a.log", *[line("/")] * 60, line(UNION))), "http_attack_success")

    assert success["value"] == 0
    assert "1 on routes with too few ordinary answers to tell" in success["summary"]
    # What nobody could tell is no "ok".
    assert success["status"] == "info"
    assert success["remedy"]
    assert success["evidence"] == ["SQL injection from 203.0.113.5, 1 answer of 1000 B, at GET /books"]


def test_a_file_that_should_not_be_served_needs_no_baseline(review: Review, tmp_path: Path) -> None:
    success = of(review(write(tmp_path / "a.log", *[line("/")] * 60, line("/.env", size=412))), "http_attack_success")

    assert success["value"] == 1
    assert "/.env" in success["evidence"][0]


def test_a_page_for_everything_is_no_success(review: Review, tmp_path: Path) -> None:
    probes = [line(target, size=777) for target in ("/.env", "/.git/config", "/backup.sql", "/.aws/credentials")]

    assert of(review(write(tmp_path / "a.log", *[line("/")] * 60, *probes)), "http_attack_success")["value"] == 0


def test_parameters_are_never_shown(review: Review, tmp_path: Path) -> None:
    lines = [*ORDINARY, line(UNION, size=90000), line("/x/1%20union%20select%20SECRETVALUE%20from%20y", size=3)]
    lines += [line("/reset?token=SECRETVALUE")] * 60 + [line("/a", referrer="https://e.example/?q=${jndi:SECRETVALUE}")]

    result = review(write(tmp_path / "a.log", *lines))

    assert of(result, "http_attacks")["value"] == 3
    assert "SECRETVALUE" not in json.dumps(result)
    state = "".join(path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert "SECRETVALUE" not in state


def test_referrers_and_agents_are_looked_at(review: Review, tmp_path: Path) -> None:
    lines = [line()] * 60 + [line(agent="sqlmap/1.7#stable", address="198.51.100.1")] * 3
    lines += [line(referrer="${jndi:ldap://x}", address="198.51.100.2"), line(agent="() { :;}; /bin/bash -c id")]

    result = review(write(tmp_path / "a.log", *lines))

    assert of(result, "http_attacks")["value"] == 5
    scores = {one["address"]: one["attacks"] for one in result["sources"]}
    assert scores == {"198.51.100.1": 3, "198.51.100.2": 1, "203.0.113.5": 1}


def test_logins_refused_and_then_accepted(review: Review, tmp_path: Path) -> None:
    brute = [line("/login", method="POST", status=401, address="198.51.100.3")] * 40
    early = [line("/login", method="POST", status=302, address="198.51.100.4")]
    late = [line("/login", method="POST", status=401, address="198.51.100.4")] * 12
    found = [line("/login", method="POST", status=302, address="198.51.100.3")]

    result = review(write(tmp_path / "a.log", *early, *brute, *late, *found))

    failures = of(result, "http_login_failures")
    assert (failures["value"], failures["status"]) == (40, "warning")
    success = of(result, "http_login_success")
    assert (success["value"], success["status"]) == (40, "warning")
    assert success["evidence"] == ["198.51.100.3: 40 refusals"]


def test_who_mistyped_once_is_counted_and_not_named(review: Review, tmp_path: Path) -> None:
    lines = []
    for number, refused in enumerate([1] * 20 + [12]):
        one = {"method": "POST", "address": f"203.0.113.{number}"}
        lines += [line("/login", status=401, **one)] * refused + [line("/login", status=302, **one)]

    success = of(review(write(tmp_path / "a.log", *lines)), "http_login_success")

    assert success["evidence"] == ["203.0.113.20: 12 refusals"]
    assert success["summary"].endswith("; 21 addresses were let in after refusals, 1 of them after more than 2")


def test_an_office_that_mistypes_now_and_then_is_not_one_who_guessed(review: Review, tmp_path: Path) -> None:
    pair = [line("/login", method="POST", status=401), line("/login", method="POST", status=302)]

    success = of(review(write(tmp_path / "a.log", *pair * 20)), "http_login_success")

    assert (success["value"], success["status"]) == (1, "ok")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_could_not_be_scored_is_told_and_not_ok(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(Scorer, "_within", lambda self, work: setattr(self, "unscored", self.unscored + 1) or NOTHING)
    lines = [line(agent="a")] * 60 + [line(f"/?q={n}'" + "x" * 5000, agent="a") for n in range(3)]

    result = review(write(tmp_path / "a.log", *lines), workers=workers)

    assert "3 too long to be scored whole" in of(result, "http_attacks", "a.log")["summary"]
    left = of(result, "http_attacks", "(not scored)")
    assert left["status"] == "unknown"
    assert left["summary"].startswith("4 different texts of requests not scored")


@pytest.mark.parametrize("workers", [2, 3])
def test_several_processes_see_what_one_sees(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Logins of an address that different processes read, and where the log ends."""
    monkeypatch.setattr(pieces, "BLOCK", 2000)
    monkeypatch.setattr(workers_module, "_PARCEL", 2000)
    luck = random.Random(3)
    lines = [
        dated(minute, "/api/token", method="POST", status=luck.choice([401, 401, 401, 200]),
              address=f"203.0.113.{luck.randrange(9)}")
        for minute in range(900)
    ]  # fmt: skip
    path = write(tmp_path / "a.log", *lines)

    alone = review_in(tmp_path / "alone", path, workers=1)
    together = review_in(tmp_path / "together", path, workers=workers)

    assert of(alone, "http_login_success")["value"] > 5
    for check in ("http_login_success", "http_login_failures", "http_traffic"):
        assert of(together, check) == of(alone, check)
    assert together["logs"][0]["ended"] == alone["logs"][0]["ended"] == "02/Mar/2026:14:59:00 +0000"


def dated(minute: int, target: str, **more: Any) -> str:
    return line(target, **more).replace("10:00:00", f"{minute // 60:02}:{minute % 60:02}:00")


def logins_of(deeds: Sequence[tuple[str, bool]], numbers: Sequence[int]) -> Logins:
    logins = Logins()
    for (address, accepted), logins.stretch in zip(deeds, numbers):
        (logins.accept if accepted else logins.refuse)(address)
    return logins


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60),
    st.lists(st.integers(0, 9), max_size=60),
    st.integers(1, 4),
)
def test_logins_are_the_same_however_the_log_is_dealt_out(
    deeds: list[tuple[str, bool]], sizes: list[int], processes: int
) -> None:
    parcels = [number for number, size in enumerate([*sizes, 60]) for _deed in range(size)][: len(deeds)]
    shares = [[at for at, number in enumerate(parcels) if number % processes == one] for one in range(processes)]
    parts = [logins_of([deeds[at] for at in share], [parcels[at] for at in share]) for share in shares]
    for other in parts[1:]:
        parts[0].merge(other)

    wanted = {}
    for address in "ab":
        row = "".join("+" if accepted else "-" for one, accepted in deeds if one == address)
        wanted[address] = max(map(len, row.rpartition("+")[0].split("+")))
    crossed = sorted(((many, one) for one, many in wanted.items() if many), key=lambda pair: (-pair[0], pair[1]))

    assert logins_of(deeds, [0] * len(deeds)).crossed() == crossed
    assert parts[0].crossed() == crossed


def test_logins_beyond_those_that_are_told_apart_take_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins_module, "MOST", 2)
    logins = logins_of([("a", False), ("b", False), ("c", False), ("a", False), ("a", True)], [0, 1, 2, 3, 4])
    assert logins.crossed() == [(2, "a")]


def test_a_script_sent_and_called_is_critical(review: Review, tmp_path: Path) -> None:
    lines = [line()] * 60 + [line("/uploads/a.php", method="PUT", status=201), line("/uploads/a.php")]

    uploads = of(review(write(tmp_path / "a.log", *lines)), "http_uploads")

    assert uploads["status"] == "critical"
    assert uploads["evidence"][0] == "/uploads/a.php: written and then fetched"


def test_pictures_are_ordinary_uploads(review: Review, tmp_path: Path) -> None:
    lines = [line()] * 60 + [line("/uploads", method="POST", status=201), line("/uploads/a.jpg")]

    uploads = of(review(write(tmp_path / "a.log", *lines)), "http_uploads")

    assert (uploads["status"], uploads["value"]) == ("ok", 0)
    assert "1 upload on 1 route" in uploads["summary"]


def test_addresses_can_be_masked_everywhere(review: Review, tmp_path: Path) -> None:
    lines = [line(address="198.51.100.77")] * 60 + [line("/login", status=401, address="2001:db8:1:2::7")] * 30
    lines += [line(UNION, address="198.51.100.77", status=403)]

    result = review(write(tmp_path / "a.log", *lines), mask_addresses=True)

    text = json.dumps(result)
    assert "198.51.100.77" not in text
    assert "2001:db8:1:2::7" not in text
    assert "198.51.100.0/24" in text
    assert "2001:db8:1::/48" in text


def test_hostile_bytes_stay_text(review: Review, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    rubbish = b"\x1b[2J\x00\xff\xfe" * 40 + b"\n"
    agent = b"\x1b]0;owned\x07\xff"
    hostile = line("/a", agent="AGENT").encode().replace(b"AGENT", agent)
    tls = b'203.0.113.5 - - [02/Mar/2026:10:00:00 +0000] "\\x16\\x03\\x01" 400 150 "-" "-" 0.1\n'
    path.write_bytes(line().encode() * 60 + rubbish + hostile + tls + b"x" * 70_000 + b"\n" + line().encode())

    result = review(path)

    assert result["logs"][0]["requests"] == 63
    text = json.dumps(result, ensure_ascii=False)
    assert "\x1b" not in text
    assert "\\u001b" not in json.dumps(result)
    assert "1 line longer than 64 KiB cut" in of(result, "skipped_lines")["summary"]


def test_a_line_without_end_is_not_held_in_memory(review: Review, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as log:
        log.write(line().encode() * 60)
        log.write(b"GET /" + b"A" * 100_000_000 + b"\n")
        log.write(line().encode())

    assert review(path)["logs"][0]["requests"] == 61


@pytest.mark.parametrize("keys", [[b"%d" % n for n in range(500)], [b"k" * 3000 + b"%d" % n for n in range(40)]])
def test_a_counter_forgets_the_rare_ones_and_says_how_much(keys: list[bytes]) -> None:
    counter = BoundedCounter(limit=100, max_bytes=60_000)
    counter.update([b"often"] * 50)

    for key in keys:
        counter.update([key])

    assert len(counter.counts) <= 101
    assert sum(map(len, counter.counts)) <= 66_000
    assert counter.top(1) == [(b"often", 50)]
    assert counter.missed >= 1
