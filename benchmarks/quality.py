"""Scores of every shipped model on benchmark sets, kept as records.

    python benchmarks/quality.py PATH/Set5 PATH/Set14

Writes `records/quality-DATE-SET-xSCALE.json` for each folder and scale; then
`python -m docs.results` makes the results page of them. Seconds are left out: the
machine may be busy with other work here, and `speed.py` measures them properly.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

from wdsr import zoo

RECORDS = Path(__file__).parent / "records"


def main(folders: list[str]) -> None:
    """Run `wdsr evaluate` once for each folder and scale, with all models that have it."""
    if not folders:
        raise SystemExit(__doc__)
    titles = [model.card for model in zoo.shipped()]
    for folder in folders:
        for scale in sorted({card.scale for card in titles}):
            name = f"quality-{datetime.date.today()}-{Path(folder).resolve().name}-x{scale}.json"
            call = [sys.executable, "-m", "wdsr", "evaluate", "--hr", folder, "-s", str(scale)]
            for card in titles:
                call += ["-n", card.name] if card.scale == scale else []
            subprocess.run([*call, "-o", str(RECORDS / name)], check=True)
            without_seconds(RECORDS / name)


def without_seconds(path: Path) -> None:
    """Rewrite a record so that it holds only what another run would give again."""
    record = json.loads(path.read_text("utf-8"))
    for row in [*record["means"], *record["rows"]]:
        row.pop("seconds", None)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
