"""docs/formats.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from wdsr.picture import FORMATS, KINDS

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def rows() -> dict[str, list[str]]:
    """The cells behind the first, by the first."""
    lines = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_every_row_of_the_table_is_the_codes() -> None:
    table = rows()
    for name, form in FORMATS.items():
        side = str(form.max_side) if form.max_side < 2**31 - 1 else ""
        alpha = "yes" if form.alpha else "no"
        carries = ", ".join(kind for kind in KINDS if kind in form.carries)
        assert table[name] == [", ".join(form.types), alpha, form.others, side, carries]


def test_every_kind_is_described() -> None:
    described = {kind for row in rows() for kind in row.split(", ")}
    assert set(KINDS) <= described
