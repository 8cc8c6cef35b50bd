"""What a journal was given it gives back, whatever a kill did to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from instancefcn.core.files import NoOutputError
from instancefcn.core.journal import BLOCK, Journal

RECORDS: list[dict[str, object]] = [
    {"a": 1},
    {"name": "b/\u00e9\udcff.png"},
    {"long": "x" * (BLOCK + 9)},
]


def written(path: Path) -> Journal:
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    return journal


def test_a_journal_without_a_file_is_empty(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "x")) == []
    assert list(tmp_path.iterdir()) == []


def test_records_come_back_in_order_and_by_their_places(tmp_path: Path) -> None:
    written(tmp_path / "new" / "x")
    journal = Journal(tmp_path / "new" / "x")
    assert [record for _, record in journal] == RECORDS
    assert [journal.at(place) for place, _ in journal] == RECORDS
    assert journal.at(journal.append({"z": 0})) == {"z": 0}


@pytest.mark.parametrize("cut", [1, 2, 9, BLOCK, BLOCK + 15])
def test_a_record_that_a_kill_cut_short_was_never_begun(tmp_path: Path, cut: int) -> None:
    journal = written(tmp_path / "x")
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    assert [record for _, record in Journal(journal.path)] == RECORDS[:-1]
    journal.append(RECORDS[-1])
    assert journal.path.read_bytes() == content


def test_a_journal_of_half_a_record_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"a"')
    journal = Journal(tmp_path / "x")
    assert list(journal) == []
    journal.append({"b": 2})
    assert [record for _, record in journal] == [{"b": 2}]


def test_starting_again_leaves_one_record(tmp_path: Path) -> None:
    journal = written(tmp_path / "x")
    journal.start_again({"b": 2})
    assert list(journal) == [(0, {"b": 2})]


def test_a_journal_that_cannot_be_written_ends_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for act in (Journal.append, Journal.start_again):
        with pytest.raises(NoOutputError, match="file/x: cannot be written"):
            act(Journal(tmp_path / "file" / "x"), {})
