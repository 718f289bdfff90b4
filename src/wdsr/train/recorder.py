"""When to measure, and whom to tell: losses are averaged, pictures scored, rows written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from wdsr.networks import Network
from wdsr.train.journal import Journal, Progress
from wdsr.train.validate import Pair, validate


@dataclass(frozen=True)
class Intervals:
    """How often to do what, in steps and minutes."""

    log: int = 100
    validate: int = 2000
    save_minutes: float = 5.0


class Recorder:
    """Follows a run in its first process.

    steps: of the whole run. validation: (LR, HR) pairs, may be none.
    network: makes the averaged network to be scored. best: the best score so far.
    """

    def __init__(
        self,
        journal: Journal,
        steps: int,
        intervals: Intervals,
        validation: list[Pair],
        network: Callable[[], Network],
        report: Callable[[Progress], None],
        best: float | None,
    ) -> None:
        self.best = best
        self._last_score: float | None = None  # of this sitting
        self._journal, self._steps, self._intervals = journal, steps, intervals
        self._validation, self._network, self._report = validation, network, report
        self._losses: list[torch.Tensor] = []
        self._noted: Progress | None = None  # the last row
        self._last = self._began = time.monotonic()
        self._minutes_before = journal.minutes

    def after(self, step: int, loss: torch.Tensor, rate: float, skipped: torch.Tensor) -> None:
        """To be called after each step, `step` being how many are done."""
        self._losses.append(loss)
        last = step == self._steps
        judge = bool(self._validation) and (last or step % self._intervals.validate == 0)
        if last or judge or step % self._intervals.log == 0:
            progress = self._progress(step, rate, skipped)
            if judge:
                score = self._score(step)
                self.best = score if self.best is None else max(self.best, score)
                progress = dataclasses.replace(progress, psnr=score, best=self.best)
            self._note(progress)

    def stopped(self, step: int, rate: float, skipped: torch.Tensor, *, judge: bool) -> None:
        """The run pauses here, between its intervals: note how far it came.

        judge: score the pictures too. What is best stays, as had the run not been stopped.
        """
        judge &= bool(self._validation)
        if self._losses:
            progress = self._progress(step, rate, skipped)
        elif judge and self._noted is not None and self._noted.psnr is None:
            progress = self._noted  # of this step; its row lacks the score
        else:
            return
        score = self._score(step) if judge else None
        self._note(dataclasses.replace(progress, psnr=score, best=None))

    @property
    def behind(self) -> float:
        """By how many dB the newest score of this sitting is below the best."""
        if self._last_score is None or self.best is None:
            return 0.0
        return max(self.best - self._last_score, 0.0)

    def rewind(self, step: int) -> None:
        """The run goes on from an earlier step."""
        self._journal.rewind(step)
        self._losses.clear()
        self._noted = None  # it may be of a step that is undone

    def _progress(self, step: int, rate: float, skipped: torch.Tensor) -> Progress:
        losses = torch.stack(self._losses)
        if (finite := losses.isfinite()).any():  # the others are counted as skipped
            losses = losses[finite]
        mean = float(losses.mean())  # waits for the device: time is true now
        pace = len(self._losses) / (time.monotonic() - self._last)
        return Progress(
            step=step,
            steps=self._steps,
            loss=mean,
            learning_rate=rate,
            steps_per_second=pace,
            best=self.best,
            minutes=self._minutes_before + (time.monotonic() - self._began) / 60,
            skipped=int(skipped),
        )

    def _score(self, step: int) -> float:
        network = self._network()
        self._journal.sample(network, self._validation, step)
        self._last_score = validate(network, self._validation)
        return self._last_score

    def _note(self, progress: Progress) -> None:
        self._journal.write(progress)
        self._report(progress)
        self._noted = progress
        self._losses.clear()
        self._last = time.monotonic()
