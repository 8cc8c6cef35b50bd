"""The documents agree with the code: links resolve, what they name exists, tables are alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import instancefcn
from instancefcn.network.fcn import Branch
from instancefcn.training.recipe import read_recipe
from test_architecture import TIERS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

LINK = re.compile(r"\]\(([^)\s]+)\)")
FUNCTION = re.compile(r"`([a-z_.]+):([A-Za-z_.]+)`")
TEST_FILE = re.compile(r"(?:reproduction/)?tests/[a-z_/]+\.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_all_documents_are_there() -> None:
    names = {name_of(path) for path in DOCUMENTS}
    assert {
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
        *("docs/architecture.md", "docs/paper.md", "docs/weights.md", "docs/log.md"),
    } <= names


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_resolve(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text()) if not link.startswith("http")]
    missing = [link for link in links if not (path.parent / link.partition("#")[0]).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_what_is_named_exists(path: Path) -> None:
    """`module:function` inside the package, and files of tests."""
    text = path.read_text()
    for module, names in FUNCTION.findall(text):
        found = import_module(f"instancefcn.{module}")
        for name in names.split("."):
            assert hasattr(found, name), f"{module}:{names}"
            found = getattr(found, name)
    for test in TEST_FILE.findall(text):
        assert (ROOT / test).exists(), test


def test_the_names_are_found() -> None:
    """What the test above rests on."""
    assert len(FUNCTION.findall((ROOT / "docs" / "paper.md").read_text())) > 30


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_line_is_of_one_machine(path: Path) -> None:
    assert not re.search(r"(^|[\s(`\"'])/(home|root|tmp|work|Users|mnt)/", path.read_text())


def test_the_architecture_has_the_enforced_import_order() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.split("<!-- tiers:begin -->")[1].split("<!-- tiers:end -->")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if "`" in line]
    assert [re.findall(r"`(\w+)`", cell) for cell in first_cells] == list(map(list, TIERS))


def test_each_dependency_has_its_reason() -> None:
    """Every package of pyproject.toml is in the architecture's table."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.split("## Why each dependency")[1]
    explained = {
        name
        for line in table.splitlines()
        for name in re.findall(r"[\w-]+", line[1:].split("|")[0])
    }
    project = (ROOT / "pyproject.toml").read_text()
    listed = project.split("dependencies = [")[1].split("\n]")[0]
    names = re.findall(r'"([\w-]+)', listed)
    assert len(names) > 10
    assert set(names) <= explained


def test_the_citation_and_the_changelog_have_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in project
    assert citation["version"] in (ROOT / "CHANGELOG.md").read_text()
    assert citation["license"] in project


def test_the_model_card_has_the_recipes_windows() -> None:
    """Figures that a change of the recipe would make false."""
    recipe = read_recipe("general").recipe
    strides = recipe.network.backbone.strides
    windows = sorted(
        branch.m * strides[fine]
        for branch in recipe.network.branches
        if isinstance(branch, Branch)
        for fine, _ in branch.pairs
    )
    card = " ".join((ROOT / "docs" / "weights.md").read_text().split())
    assert f"{in_words(windows)} pixels of the input" in card
    assert f"shorter sides of {in_words(recipe.inference.sides)} pixels" in card


def in_words(numbers: Sequence[int]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last}"


def test_public_names_are_in_the_readme_or_the_card() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    for name in instancefcn.__all__:
        assert name in text
