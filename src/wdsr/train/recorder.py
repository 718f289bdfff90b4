"""When to measure, and whom to tell: losses are averaged, pictures scored, rows written."""

from __future__ import annotations

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
        self._journal, self._steps, self._intervals = journal, steps, intervals
        self._validation, self._network, self._report = validation, network, report
        self._losses: list[torch.Tensor] = []
        self._last = self._began = time.monotonic()
        self._minutes_before = journal.minutes

    def after(self, step: int, loss: torch.Tensor, rate: float, skipped: torch.Tensor) -> None:
        """To be called after each step, `step` being how many are done."""
        self._losses.append(loss)
        last = step == self._steps
        judge = bool(self._validation) and (last or step % self._intervals.validate == 0)
        if not (last or judge or step % self._intervals.log == 0):
            return
        losses = torch.stack(self._losses)
        if (finite := losses.isfinite()).any():  # the others are counted as skipped
            losses = losses[finite]
        mean = float(losses.mean())  # waits for the device: time is true now
        pace = len(self._losses) / (time.monotonic() - self._last)
        score = None
        if judge:
            network = self._network()
            score = validate(network, self._validation)
            self.best = score if self.best is None else max(self.best, score)
            self._journal.sample(network, self._validation, step)
        progress = Progress(
            step=step,
            steps=self._steps,
            loss=mean,
            learning_rate=rate,
            steps_per_second=pace,
            psnr=score,
            best=self.best,
            minutes=self._minutes_before + (time.monotonic() - self._began) / 60,
            skipped=int(skipped),
        )
        self._journal.write(progress)
        self._report(progress)
        self._losses.clear()
        self._last = time.monotonic()

    def rewind(self, step: int) -> None:
        """The run goes on from an earlier step."""
        self._journal.rewind(step)
        self._losses.clear()
