"""Settings, options, exit codes, files and their columns have the names that they always had."""

from typing import Any

import pytest

from golden import store, surfaces

STORED = store.load("surfaces")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    pytest.importorskip("matplotlib")  # of whose making one of the files is
    return surfaces.record()


@pytest.mark.parametrize("surface", STORED)
def test_the_names_are_the_same(surface: str, found: dict[str, Any]) -> None:
    assert found[surface] == STORED[surface]


def test_no_surface_is_left_out(found: dict[str, Any]) -> None:
    assert found.keys() == STORED.keys()
