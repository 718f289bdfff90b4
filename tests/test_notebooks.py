"""The notebooks run from top to bottom, and are committed as they ran."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def run(name: str, folder: Path, seconds: int) -> None:
    """In an empty folder, so that nothing but the installed package is found."""
    client = NotebookClient(read(name), timeout=seconds, resources={"metadata": {"path": folder}})
    client.execute()


def test_there_are_notebooks() -> None:
    assert "article.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_committed_as_it_ran(name: str) -> None:
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    assert kinds & {"display_data", "execute_result"}
    assert (FOLDER / name).stat().st_size < 2_500_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_in_its_short_mode(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WDSR_SHORT", "1")
    run(name, tmp_path, 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_in_full(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WDSR_SHORT", raising=False)
    run(name, tmp_path, 900)
