"""What a run leaves in its folder."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.train.helpers import (
    TINY,
    StopError,
    newest,
    rows,
    run_of,
    short,
    stop_at,
    waves,
)

from wdsr.networks.wdsr import WDSR
from wdsr.train.data import Pairs
from wdsr.train.journal import COLUMNS, Journal, Progress
from wdsr.train.pictures import make_pair
from wdsr.train.recipe import Recipe
from wdsr.train.recorder import Intervals, Recorder
from wdsr.train.validate import enlarge

# What is written


def test_log_has_a_row_where_something_was_measured(pairs: Pairs, tmp_path: Path) -> None:
    seen: list[Progress] = []
    recipe = short(steps=10)
    run_of(
        recipe,
        pairs,
        tmp_path,
        validation=[make_pair(waves(24, 24, 5), 2)],
        log=4,
        validate=3,
        report=seen.append,
    )
    written = rows(tmp_path)
    assert list(written[0]) == COLUMNS
    assert [int(r["step"]) for r in written] == [3, 4, 6, 8, 9, 10]
    assert [r["step"] for r in written if r["psnr"]] == ["3", "6", "9", "10"]
    for row, progress in zip(written, seen, strict=True):
        assert float(row["loss"]) == progress.loss
        assert float(row["learning_rate"]) == recipe.learning_rate_at(progress.step - 1)
        assert float(row["steps_per_second"]) > 0
        assert progress.steps == 10
    scores = [p.psnr for p in seen if p.psnr is not None]
    best = [p.best for p in seen if p.psnr is not None]
    assert best == [max(scores[: n + 1]) for n in range(4)]


def test_loss_in_the_log_is_the_mean_since_the_row_before(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(steps=4), pairs, tmp_path / "each", log=1)
    run_of(short(steps=4), pairs, tmp_path / "two", log=2)
    each = [float(r["loss"]) for r in rows(tmp_path / "each")]
    two = [float(r["loss"]) for r in rows(tmp_path / "two")]
    assert two == pytest.approx([(each[0] + each[1]) / 2, (each[2] + each[3]) / 2], rel=1e-5)


def test_log_of_a_run_resumed_from_an_earlier_checkpoint_has_no_step_twice(
    pairs: Pairs, tmp_path: Path
) -> None:
    with pytest.raises(StopError):
        run_of(short(), pairs, tmp_path, log=1, save_minutes=0, report=stop_at(6))
    (newest_file,) = tmp_path.glob("step-00000006-*.ckpt")
    newest_file.unlink()  # as if the machine had died before writing it
    with (tmp_path / "log.csv").open("a") as stream:
        stream.write("7,0.0")  # a torn row
    run_of(short(), pairs, tmp_path, log=1)
    assert [int(r["step"]) for r in rows(tmp_path)] == list(range(1, 13))


def test_run_folder_says_what_was_run(pairs: Pairs, tmp_path: Path) -> None:
    recipe = short(steps=1)
    run_of(recipe, pairs, tmp_path / "new" / "folder")
    facts = json.loads((tmp_path / "new" / "folder" / "run.json").read_text())
    assert Recipe.from_dict(facts["recipe"]) == recipe
    assert facts["torch"] == torch.__version__
    state = newest(tmp_path / "new" / "folder")
    assert facts["wdsr"] == metadata.version("wdsr")
    assert "cores" in facts["machine"]
    assert Recipe.read(tmp_path / "new" / "folder" / "recipe.toml") == recipe
    assert state["recipe"] == recipe.to_dict()


def test_what_changed_between_sittings_is_said_and_kept(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def sitting(**options: Any) -> dict[str, Any]:
        told.clear()
        run_of(short(), pairs, tmp_path, max_minutes=0, notice=told.append, **options)
        facts: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
        return facts

    first = sitting()
    assert "until" not in first
    assert "until" not in sitting()
    assert told[0] == "going on from step 1"
    assert len(told) == 2  # and that it was stopped again
    monkeypatch.setattr(pairs, "digest", "of other pictures")
    changed = sitting(precision="bf16")
    assert told[0] == "not as until step 2: bf16, pictures; run.json keeps both"
    assert changed["bf16"] is True
    assert changed["until"] == {"2": {"bf16": False, "pictures": first["pictures"]}}
    assert sitting(precision="bf16")["until"] == changed["until"]
    (tmp_path / "run.json").unlink()  # lost: written anew
    assert sitting(precision="bf16")["pictures"] == "of other pictures"
    run_of(short(), pairs, tmp_path, precision="bf16")
    complete = (tmp_path / "run.json").read_text()
    sitting(precision="float32")  # nothing is left to do, so nothing has changed
    assert (tmp_path / "run.json").read_text() == complete


def test_a_run_rolled_back_and_stopped_at_once_notes_no_step_that_is_undone(
    tmp_path: Path,
) -> None:
    pair = waves(6, 6, 1), waves(12, 12, 1)
    journal, network = Journal(tmp_path, 0, board=False), WDSR(TINY)
    recorder = Recorder(
        journal, 9, Intervals(log=1), [pair], lambda: network, lambda progress: None, None
    )
    recorder.after(1, torch.tensor(0.5), 1e-3, torch.tensor(0))
    recorder.after(2, torch.tensor(0.5), 1e-3, torch.tensor(0))
    recorder.rewind(1)
    recorder.stopped(1, 1e-3, torch.tensor(0), judge=True)
    assert [row["step"] for row in rows(tmp_path)] == ["1"]


def test_minutes_go_on_counting(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0, board=False)
    for step in (10, 20, 30):
        journal.write(Progress(step, 50, 0.1, 1e-3, 2.0, minutes=step / 4, skipped=3))
    assert Journal(tmp_path, 25, board=False).minutes == 5
    assert [r["step"] for r in rows(tmp_path)] == ["10", "20"]
    assert rows(tmp_path)[0]["skipped"] == "3"
    assert Journal(tmp_path, 5, board=False).minutes == 0


def test_a_log_of_an_older_version_keeps_its_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss,psnr\n5,0.5,\n")
    journal = Journal(tmp_path, 5, board=False)
    journal.write(Progress(6, 9, 0.25, 1e-3, 2.0, psnr=30.5))
    assert rows(tmp_path) == [
        {"step": "5", "loss": "0.5", "psnr": ""},
        {"step": "6", "loss": "0.25", "psnr": "30.5"},
    ]


@pytest.mark.parametrize(
    ("damaged", "left"),
    [
        (b"", []),
        (b"step,lo", []),
        (b"nonsense\n5,0.5,\n", []),
        (b"\xff\xfe\n", []),
        (b"step,loss\n5,0.5\n\r\n,,\n7,0.7\n6,0", ["5"]),
    ],
)
def test_a_damaged_log_stops_no_run(tmp_path: Path, damaged: bytes, left: list[str]) -> None:
    (tmp_path / "log.csv").write_bytes(damaged)
    journal = Journal(tmp_path, 6, board=False)
    assert journal.minutes == 0
    journal.write(Progress(7, 9, 0.25, 1e-3, 2.0))
    assert [row["step"] for row in rows(tmp_path)] == [*left, "7"]


def test_tensorboard_gets_what_the_log_gets(pairs: Pairs, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held_out = [make_pair(waves(24, 24, 5), 2)]
    run_of(short(steps=4), pairs, tmp_path, board=True, log=2, validation=held_out)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    losses = [(e.step, e.value) for e in events.Scalars("loss")]
    assert losses == [(int(r["step"]), pytest.approx(float(r["loss"]))) for r in rows(tmp_path)]
    assert [e.step for e in events.Scalars("psnr")] == [4]
    assert [e.step for e in events.Images("LR, SR, HR")] == [4]


def test_samples_show_lr_sr_and_hr_side_by_side(pairs: Pairs, tmp_path: Path) -> None:
    lr, hr = make_pair(waves(40, 50, 5), 2)
    network = run_of(
        short(steps=4), pairs, tmp_path, validate=3, validation=[(lr, hr), (lr[:5], hr[:10])]
    )
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [
        "step-00000003.png",
        "step-00000004.png",
    ]
    shown = np.asarray(Image.open(tmp_path / "samples" / "step-00000004.png"))
    assert shown.shape == (40 + 10, 3 * 40, 3)
    np.testing.assert_array_equal(shown[:40, 80:], hr[:, 4:44])  # the middle
    np.testing.assert_array_equal(shown[:40:2, :40:2], lr[:, 2:22])
    np.testing.assert_array_equal(shown[:40, 40:80], enlarge(network, lr[:, 2:22]))
