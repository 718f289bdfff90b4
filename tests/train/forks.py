"""A program for test_kill.py: trains in forked children that are killed, again and again.

    python forks.py PACK RUN WORKERS KILLS SEED

Trains once in RUN/whole, undisturbed, and once in RUN/killed, where a SIGKILL
comes at KILLS random moments. Every step saves, so many moments lie in a save.
Prints how many kills found the training at work; fails if the ends differ in one bit.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import torch
from tests.train.helpers import assert_same_bits, newest, run_of, short

from wdsr.train.data import Pairs
from wdsr.train.journal import Progress


def child(pack: Path, run: Path, workers: int, steps: int, doom: tuple[int, float] | None) -> int:
    """Train in a child process; `doom` kills it so long after such a step. Returns its status.

    If earlier children have passed that step, the first new one counts.
    """
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    torch.set_num_threads(1)

    def die(delay: float) -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    doomed = iter([] if doom is None else [doom])

    def report(progress: Progress) -> None:
        if doom is not None and progress.step >= doom[0]:
            for _, delay in doomed:  # once
                threading.Thread(target=die, args=(delay,), daemon=True).start()

    recipe = short(steps=steps)
    run_of(recipe, Pairs(pack, 2), run, workers=workers, save_minutes=0, log=1, report=report)
    os._exit(0)


def main() -> None:
    """See above."""
    pack, run = Path(sys.argv[1]), Path(sys.argv[2])
    workers, kills, seed = map(int, sys.argv[3:])
    rng = random.Random(seed)
    steps = 6 * kills
    began = time.monotonic()
    assert child(pack, run / "whole", workers, steps, None) == 0
    pace = (time.monotonic() - began) / steps  # what a kill must hit, however quick the machine
    killed = 0
    for step in sorted(rng.sample(range(1, steps - 10), kills)):
        status = child(pack, run / "killed", workers, steps, (step, rng.uniform(0, 2 * pace)))
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert child(pack, run / "killed", workers, steps, None) == 0
    assert_same_bits(newest(run / "killed"), newest(run / "whole"))
    print(killed)


if __name__ == "__main__":
    main()
