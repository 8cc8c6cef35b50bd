"""Whose classes may be named: nothing else is imported, whatever road a value takes to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from instancefcn.core.errors import UserError
from instancefcn.network.heads import ScoreMapHead
from instancefcn.network.trust import DEEPEST, Trust


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the package ``stranger`` has been imported."""
    mark = tmp_path / "imported"
    (tmp_path / "stranger.py").write_text(
        f"open({str(mark)!r}, 'w').close()\n"
        "from instancefcn.network.heads import ScoreMapHead\n"
        "from subprocess import Popen\n"
        "class Head(ScoreMapHead): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return mark


@pytest.mark.parametrize(
    "value",
    [
        "os.system",
        "stranger.Head",
        ["stranger.Head"],
        {"class_path": "stranger.Head"},
        {"class_path": "torch.optim.SGD", "init_args": {"lr": "stranger.Head"}},
        {"class_path": "torch.optim.SGD", "dict_kwargs": {"x": {"class_path": "stranger.Head"}}},
        {"any": [{"deep": {"class_path": "stranger.Head"}}]},
        {"class_path": "torch.hub.load", "init_args": {}},
        {"class_path": "instancefcnx.Head"},
    ],
)
def test_who_is_not_trusted_is_named_and_not_imported(value: Any, trace: Path) -> None:
    with pytest.raises(UserError, match=r"r: names the class .* allow it: --trust \w+") as error:
        Trust((), "r").check(value)
    assert "\n" not in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("instancefcn.core.files.os.system", "no class"),
        ("instancefcn.core.files.whole_file", "no class"),
        ("instancefcn.core.files.Path", "names the class instancefcn.core.files.Path"),
        ("torch.nn.modules.module.OrderedDict", "names the class"),
        ("torch.optim.SGDD", "did you mean SGD?"),
        ("torch.optim.nothing.SGD", "no class"),
    ],
)
def test_no_way_leads_through_ours_to_others(path: str, reason: str) -> None:
    with pytest.raises(UserError) as error:
        Trust((), "r").check({"class_path": path})
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("instancefcn.data.coco.CocoDataset", "instancefcn.formats.coco.CocoDataset"),
        ("instancefcn.network.InstanceFCN", "instancefcn.network.fcn.InstanceFCN"),
    ],
)
def test_a_class_of_ours_that_has_moved_is_told_with_its_new_place(path: str, place: str) -> None:
    with pytest.raises(UserError) as error:
        Trust((), "r").find(path)
    assert str(error.value) == f"r: no class {path}; did you mean {place}?"
    assert Trust((), "r").find(place).__name__ == place.rpartition(".")[2]


def test_what_is_trusted_is_found_but_not_what_it_imports(trace: Path) -> None:
    trust = Trust(("stranger",), "r")
    assert issubclass(trust.find("stranger.Head"), ScoreMapHead)
    assert trace.exists()
    with pytest.raises(UserError, match=r"names the class stranger\.Popen"):
        trust.find("stranger.Popen")


@dataclass
class Settings:
    rate: float
    file: Path | None = None


@dataclass
class Owner:
    settings: Settings
    file: str
    any: Any


def test_words_and_paths_name_no_class() -> None:
    values = {"settings": {"rate": 0.1, "file": "test.json"}, "file": "os.system"}
    for name, value in values.items():
        Trust((), "r").check(value, get_type_hints(Owner)[name])
    voc = {"class_path": "instancefcn.formats.voc.VocDataset", "init_args": {"root": "a.b"}}
    Trust((), "r").check(voc)
    with pytest.raises(UserError, match=r"names the class os\.system"):
        Trust((), "r").check("os.system", get_type_hints(Owner)["any"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"rat": 1}, "Settings has no argument rat; did you mean rate?"),
        ({"zzz": 1}, "Settings has no argument zzz; give one of file, rate"),
    ],
)
def test_a_misspelt_argument_is_told_with_the_one_meant(value: Any, reason: str) -> None:
    with pytest.raises(UserError) as error:
        Trust((), "r").check(value, Settings)
    assert reason in str(error.value)


def test_depth_is_bounded() -> None:
    value: Any = 1
    for _ in range(DEEPEST + 1):
        value = [value]
    with pytest.raises(UserError, match="nested more than 50 deep"):
        Trust((), "r").check(value)
    Trust((), "r").check(value[0])
