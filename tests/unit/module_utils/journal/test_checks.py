# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain, checks

RUN = "20260101T000000Z-00000000"


@pytest.fixture
def journal(tmp_path):
    folder = tmp_path / "journal" / RUN
    folder.mkdir(parents=True)
    header = chain.sealed({"run": RUN})
    (folder / "run.json").write_bytes(chain.canonical(header) + b"\n")
    record = chain.sealed({"run": RUN, "host": "db1", "sequence": 0, "previous": header["hash"]})
    (folder / "db1.jsonl").write_bytes(chain.canonical(record) + b"\n")
    return tmp_path / "journal"


def verified(tmp_path, **params):
    return perform(
        checks.check,
        params={
            "levels": {}, "state_dir": str(tmp_path / "state"), "state_consumer": "me", "state_acknowledged": None,
            "checks": [], "path": None, "run": None, "head": None, **params,
        },
        check_mode=False,
        name="journal_verify",
        catalogue=checks.CATALOGUE,
        repair=False,
        clock=Clock(),
    )  # fmt: skip


def test_a_whole_journal_is_ok_and_an_open_run_is_told(journal, tmp_path):
    result = verified(tmp_path, path=str(journal))
    assert {finding["check"]: finding["status"] for finding in result["findings"]} == {
        "journal.chain": "ok",
        "journal.closed": "info",
    }
    assert result["findings"][0]["summary"] == "1 record in 1 run: the chain is whole"
    assert result["first_problem"] == ""


def test_a_broken_line_is_critical_and_the_first_one_is_named(journal, tmp_path):
    path = journal / RUN / "db1.jsonl"
    path.write_bytes(path.read_bytes().replace(b"db1", b"db2"))
    result = verified(tmp_path, path=str(journal))
    assert result["status"] == "critical"
    assert result["first_problem"] == f"{RUN}/db1.jsonl line 1: was changed: its hash does not match its content"


def test_a_torn_line_is_in_the_evidence(journal, tmp_path):
    with (journal / RUN / "db1.jsonl").open("ab") as stream:
        stream.write(b"half")
    result = verified(tmp_path, path=str(journal))
    assert result["findings"][1]["evidence"][0] == f"{RUN}/db1.jsonl: its last line was cut off"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"path": None}, "Option 'path' is None, but must be the journal folder"),
        ({"path": "/nowhere"}, "Option 'path' is '/nowhere', but must be the journal folder"),
        ({"run": "none"}, "Option 'run' is 'none', but must be the id of a run in the journal."),
        ({"head": "short"}, "Option 'head' is 'short', but must be"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(journal, tmp_path, params, sentence):
    with pytest.raises(OptionError) as caught:
        verified(tmp_path, **{"path": str(journal), **params})
    assert sentence in str(caught.value)
