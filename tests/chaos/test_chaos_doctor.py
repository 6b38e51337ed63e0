"""What `p2pnet doctor` says of neighbors with an ailment each; half a minute."""

from pathlib import Path

import pytest

from tests.chaos.doctor import CASES, rows
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.table import Judge

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_every_ailment_is_named(judge: Judge, tmp_path: Path) -> None:
    try:
        with Namespaces(1 + len(CASES)) as lan:
            judge(lambda: rows(lan, tmp_path))
    except NoNamespacesError as error:
        pytest.skip(f"no network namespaces: {error}")
