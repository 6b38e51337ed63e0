"""Daemons on one LAN segment that find each other, and one that only dials out; 1 minute."""

from collections.abc import Callable

import pytest

from tests.chaos.discovery import behind_a_router, found, found_later
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.table import Judge, Row

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.mark.parametrize("scenario", [found, found_later, behind_a_router])
def test_agents_on_one_lan(judge: Judge, scenario: Callable[[Namespaces], Row]) -> None:
    try:
        with Namespaces(3) as lan:
            judge(lambda: [scenario(lan)])
    except NoNamespacesError as error:
        pytest.skip(f"no network namespaces: {error}")
