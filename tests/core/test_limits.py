"""Bounds: what the environment says, if it says a number."""

from __future__ import annotations

import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.limits import limit


def test_the_environment_raises_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSTANCEFCN_SOME_LIMIT", raising=False)
    assert limit("SOME_LIMIT", 5) == 5
    monkeypatch.setenv("INSTANCEFCN_SOME_LIMIT", "4000000000")
    assert limit("SOME_LIMIT", 5) == 4_000_000_000


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "4e9", "much"])
def test_a_limit_is_a_whole_number_above_0(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("INSTANCEFCN_SOME_LIMIT", value)
    with pytest.raises(UserError, match=f"^INSTANCEFCN_SOME_LIMIT={value}: .*, such as 5$"):
        limit("SOME_LIMIT", 5)
