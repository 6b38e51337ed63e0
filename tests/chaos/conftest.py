"""Scenarios are judged here. Those whose rows were all kept on this commit and machine are not played again."""

from dataclasses import asdict

import pytest

from benchmarks.results import DIRECTORY, ResultFile, commit, machine, stamped
from tests.chaos.table import CHAOS_ROW, Judge, Row, Scenario

RESULTS = ResultFile(DIRECTORY / "chaos.jsonl")


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Delete .results/chaos.jsonl to have everything played again."""
    name = request.node.name

    def play(scenario: Scenario) -> None:
        rows = kept_rows(name)
        if not rows:
            for row in scenario():
                request.node.user_properties.append((CHAOS_ROW, str(row)))
                rows.append(row)
            records = [asdict(row) for row in rows]
            RESULTS.append(stamped({"test": name, "is_kept": all(row.is_kept for row in rows), "rows": records}))
        else:
            request.node.user_properties.extend((CHAOS_ROW, f"{row}  (earlier)") for row in rows)
        assert rows
        assert all(row.is_kept for row in rows), "\n".join(str(row) for row in rows)

    return play


def kept_rows(test: str) -> list[Row]:
    """The rows of the test's last run on this commit and machine, if all of them were kept."""
    here = {"test": test, "is_kept": True, "commit": commit(), "machine": machine()}
    for record in reversed(list(RESULTS.records())):
        if here.items() <= record.items():
            return [Row(**row) for row in record["rows"]]
    return []
