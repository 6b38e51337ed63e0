"""Tables of three hospitals, with the mistakes of all: other orders, other forms, gaps, a label at one site only."""

import csv
import datetime
import random
from pathlib import Path
from typing import Any

COLUMNS = ["patient_id", "admitted", "sex", "ward", "age", "crp", "outcome"]


def write_patients(path: Path, site: str, n_rows: int, **form: Any) -> None:
    """A table of a hospital, with the mistakes of all."""
    rng = random.Random(site)  # noqa: S311
    encoding, order = form.pop("encoding", "utf-8"), form.pop("order", COLUMNS)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, order, **{"lineterminator": "\n", **form})
        writer.writeheader()
        for number in range(n_rows):
            day = datetime.date(2025, 1, 1) + datetime.timedelta(days=rng.randrange(365))
            age = round(rng.gauss(60, 12), 1)
            outcomes = ["died" if age + rng.gauss(0, 5) > 66 else "well", "moved" if site == "c" else "well"]
            row = {
                "patient_id": f"{site}{number:06}",
                "admitted": day.isoformat(),
                "sex": rng.choice(["f", "m"]),
                "ward": rng.choice(["ICU", "general", "surgery"]),
                "age": age,
                "crp": "" if rng.random() < 0.05 else round(rng.expovariate(0.025), 1),
                "outcome": outcomes[rng.random() < 0.1],
            }
            writer.writerow(row)


SITES: dict[str, dict[str, Any]] = {
    "a": {"n_rows": 600},
    "b": {"n_rows": 300, "order": COLUMNS[::-1], "encoding": "utf-8-sig", "lineterminator": "\r\n"},
    "c": {"n_rows": 120, "delimiter": ";"},
}
