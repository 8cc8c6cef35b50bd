"""Which categories a method's masks are judged by, and what is told of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from labelled import box

from instancefcn.core.proposals import CLASS_AGNOSTIC
from instancefcn.core.types import ScoredMask
from instancefcn.data.subsets import Recategorised
from instancefcn.evaluation.comparing import Compared, compare_names, compare_results
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.results import NO_CATEGORY, Results

HERE = box(0, 0, 20, 20)
THREE = {1: "cat", 2: "dog", 5: "cow"}


def data(categories: Mapping[int, str] = THREE) -> Recategorised:
    """A data set of which only the names are asked; none of its files is there."""
    return Recategorised(CocoDataset("farm.json", Path("photos")), categories)


def found(*categories: int) -> Results:
    return {1: [ScoredMask(HERE, 1, category) for category in categories], 2: []}


@pytest.mark.parametrize(
    ("named", "judged", "words"),
    [
        ({7: "cow", 8: "cat", 9: "dog"}, True, []),
        (
            {1: "cow"},
            True,
            ["it lacks 2 of {}'s 3 categories: cat, dog; objects of these count as missed"],
        ),
        (
            {1: "unicorn", 2: "cow", 3: "dog", 4: "cat", 5: "ox"},
            True,
            ["{} lacks 2 of its 5 categories: ox, unicorn; masks of these count for recall only"],
        ),
        (
            dict(enumerate("abcde")),
            False,
            ["{} lacks 5 of its 5 categories: a, b, c and 2 more; masks of these count for recall "
             "only"],
        ),
        (CLASS_AGNOSTIC, False, []),
        ({}, False, []),
    ],
)  # fmt: skip
def test_a_method_that_names_a_category_of_the_data_sets_is_judged_by_all(
    named: Mapping[int, str], judged: bool, words: Sequence[str]
) -> None:
    """However few of its masks have it: the mean stays over the data set's categories."""
    expected = Compared(THREE if judged else {}, [line.format(data().name) for line in words])
    compared = compare_names(named, data())
    assert (compared.categories, [*compared.words]) == (expected.categories, expected.words)
    for masks in (found(), found(1), found(1, 2)):
        assert compare_results(named, masks, data()) == compared


def test_what_nobody_labelled_is_a_category_where_the_data_set_says_so() -> None:
    one = {4: "object"}
    assert compare_names(CLASS_AGNOSTIC, data(one)) == Compared(one, [])
    two = {4: "object", 5: "cat"}
    compared = compare_names(CLASS_AGNOSTIC, data(two))
    assert compared.categories == two
    assert "lacks 1 of farm's 2 categories: cat;" in "".join(compared.words)


@pytest.mark.parametrize(
    ("categories", "ids", "judged"),
    [
        (THREE, [], False),
        (THREE, [1, 2], True),
        ({1: "cat"}, [1, 1], True),
    ],
)
def test_a_list_is_judged_by_the_ids_that_it_tells_apart(
    categories: Mapping[int, str], ids: Sequence[int], judged: bool
) -> None:
    compared = compare_results(None, found(*ids), data(categories))
    assert compared == Compared(categories if judged else {}, compared.words)
    assert not compared.words


@pytest.mark.parametrize("categories", [THREE, {1: "cat"}, {}])
def test_a_list_of_none_of_the_categories_says_so(categories: Mapping[int, str]) -> None:
    """Else labels with the ids of another data set would be left out without a word."""
    compared = compare_results(None, found(NO_CATEGORY, NO_CATEGORY), data(categories))
    words = f"its masks are of no category of {data().name}'s, and for recall only"
    assert compared == Compared({}, [words])


def test_a_list_of_one_category_of_several_says_what_it_is_taken_for() -> None:
    compared = compare_results(None, found(2, 2, NO_CATEGORY), data())
    assert not compared.categories
    (line,) = compared.words
    assert line.startswith("all its masks are called 'dog', one of ")
    assert "3 categories, so they are taken for masks without labels; " in line


def test_masks_of_no_category_are_counted_beside_labelled_ones() -> None:
    for named in (None, THREE):
        compared = compare_results(named, found(1, 2, NO_CATEGORY, NO_CATEGORY), data())
        assert compared.categories == THREE
        (line,) = compared.words
        assert line == f"2 masks are of no category of {data().name}'s, and for recall only"
