"""The training loop, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from lightning.fabric import Fabric

from wdsr import networks
from wdsr.errors import TrainingError
from wdsr.networks import Network
from wdsr.train import checkpoint
from wdsr.train.adversarial import Duel
from wdsr.train.data import Source
from wdsr.train.device import Precision, keep_base, launch, quicken, uses_bf16
from wdsr.train.feed import feed
from wdsr.train.journal import Journal, Progress, describe
from wdsr.train.preflight import Notice, check, resumable
from wdsr.train.recipe import Recipe
from wdsr.train.recorder import Intervals, Recorder
from wdsr.train.step import Stepper
from wdsr.train.stopping import Stopping
from wdsr.train.trainee import Trainee, averaged
from wdsr.train.validate import Pair, validate
from wdsr.train.warm import warm_start

PATIENCE = 5  # steps in a row that are not finite before the run is rolled back
ATTEMPTS = 5  # roll-backs, each to half the rate, before it is given up


def train(
    recipe: Recipe,
    source: Source,
    run: Path,
    *,
    validation: list[Pair] | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
    teacher: Network | None = None,
    pretrained: Path | None = None,
    precision: Precision = "auto",
    devices: int = 1,
    workers: int = 0,
    max_minutes: float | None = None,
    intervals: Intervals = Intervals(),  # noqa: B008  (frozen)
    board: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
    notice: Notice = lambda text: None,
) -> Network:
    """Train a network, resuming from `run` if it holds a checkpoint.

    recipe: what and how. source: where patches come from.
    run: folder for checkpoints and logs; made if missing.
    validation: (LR, HR) uint8 pairs, scored as `validate` does.
    start: weights to begin from; layers that do not fit (another scale's last
        convolutions) keep their initialisation.
    teacher: the network whose output `distillation` imitates.
    pretrained: folder of the weights that perceptual losses need; None: torch's cache.
    devices: processes, each with its share of the batch; torchrun's number goes before it.
    workers: processes that cut patches; 0: this one does.
    max_minutes: stop cleanly, with a checkpoint, after so long. Ctrl-C does so too,
        and then raises KeyboardInterrupt.
    intervals: how often to log, validate and save.
    board: write TensorBoard's files too, where it is installed.
    report, notice: called by the first process, with progress and with remarks of one line.

    Returns the network with averaged (EMA) weights, on the CPU, not fused. Raises
    UsageError if the source is not what the recipe's network takes, TrainingError
    if its pictures are too small, the run folder holds another recipe's checkpoint,
    training diverges or another process is lost. Whatever ends it leaves a
    checkpoint of whole steps, and none that is not finite.
    """
    check(recipe, source, devices, pretrained)
    fabric = launch(devices, precision)
    check(recipe, source, fabric.world_size, pretrained)  # torchrun may have begun other numbers
    first = fabric.is_global_zero  # the only process to touch the run folder
    fabric.seed_everything(recipe.seed, verbose=False)
    bare = networks.build(recipe.network)
    fresh = [] if start is None else warm_start(bare, start)  # layers that nothing fitted
    if not checkpoint.is_finite(bare.state_dict()):
        raise TrainingError("start: its weights hold numbers that are not finite; give another")
    quicken(bare)
    keep_base(bare)
    learner = Trainee(
        fabric,
        bare,
        optimizer=recipe.optimizer,
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        ema=recipe.ema,
    )
    stepper: Stepper | Duel = Stepper(fabric, learner, recipe, teacher, pretrained)
    if recipe.adversary is not None:
        stepper = Duel(
            fabric,
            learner,
            recipe,
            None if start is None or fresh else averaged(recipe.network, bare.state_dict()),
            run,
            pretrained=pretrained,
            notice=notice,
        )
    step, best, halvings = 0, None, 0  # halvings: of the rate, one at each roll-back

    def average() -> Network:
        return averaged(recipe.network, learner.averages())

    def judged() -> Network:
        return average().to(fabric.device)

    def state() -> checkpoint.State:
        return {**learner.state(), **stepper.state()}

    def save(*, trunk: bool = False) -> None:
        if first and checkpoint.is_finite(learnt := state()):
            best = recorder.best if recorder else None
            facts = {"step": step, "best": best, "halvings": halvings, "recipe": recipe.to_dict()}
            checkpoint.save(run, {**facts, **learnt}, trunk=trunk)

    saved = fabric.broadcast(resumable(run, recipe, notice) if first else None)
    if saved is not None:
        step, best, halvings = saved["step"], saved["best"], saved.get("halvings", 0)
        learner.load(saved)
        stepper.load(saved)
    recorder = None
    if first:
        run.mkdir(parents=True, exist_ok=True)
        checkpoint.forget_after(run, step)  # damaged, or of a cooldown that is not to be
        facts = {
            "bf16": uses_bf16(precision),
            "processes": fabric.world_size,
            "threads": torch.get_num_threads(),
            "pictures": source.digest,
        }
        due = step < recipe.total or not (run / "run.json").exists()  # or it was lost
        if due and (unlike := describe(run, recipe, facts, step)):
            notice(f"not as until step {step}: {', '.join(unlike)}; run.json keeps both")
        if fresh:
            notice(f"start: nothing fits {', '.join(fresh)}: these begin anew")
        if step:
            notice(f"going on from step {step}" if step < recipe.total else "complete already")
        elif saved is None and start is None and recipe.adversary is not None:
            notice(
                "no start: a generator that knows nothing yet plays, with no pixel model to watch"
            )
        elif start is not None and validation:
            best = validate(judged(), validation)  # what training has to beat
            notice(f"before training: PSNR {best:.3f} dB")
        journal = Journal(run, step, board=board)
        recorder = Recorder(
            journal, recipe.total, intervals, validation or [], judged, report, best
        )
        save()  # a disk that cannot take it is known before any work

    check_every = 25 if fabric.device.type == "cuda" else 1  # asking a GPU makes it wait
    whole, stopped = True, False  # whole: no step is half taken, weights moved and count not
    last_save = time.monotonic()
    try:
        with Stopping(max_minutes) as stopping:
            while step < recipe.total and not stopped:  # again only after a roll-back
                for lr, hr in feed(source, recipe, step, fabric=fabric, workers=workers):
                    rate = recipe.learning_rate_at(step) * 0.5**halvings
                    learner.set_rate(rate)
                    whole = False
                    loss = stepper.take(step, lr, hr)
                    step += 1
                    whole = True

                    if recorder:
                        recorder.after(step, loss, rate, learner.skipped)
                    if step == recipe.trunk:
                        save(trunk=True)
                    if time.monotonic() - last_save > intervals.save_minutes * 60:
                        save()
                        last_save = time.monotonic()
                    if step % check_every and step < recipe.total:
                        continue
                    stopped = _any(fabric, stopping.asked)
                    if stopped or stepper.in_a_row >= PATIENCE:
                        break
                # A finite step may lead to weights that are not, and no other follows the last.
                lost = step == recipe.total and not checkpoint.is_finite(state())
                if lost or stepper.in_a_row >= PATIENCE:
                    saved = fabric.broadcast(checkpoint.newest(run) if first else None)
                    assert saved is not None  # one was saved before the first step
                    halvings += 1
                    if halvings > ATTEMPTS:
                        raise TrainingError(
                            f"{run}: diverges at step {step} though the rate was halved "
                            f"{ATTEMPTS} times; lower learning_rate or raise warmup"
                        )
                    notice(f"step {step}: not finite; back to step {saved['step']}, half the rate")
                    whole = False
                    step = saved["step"]
                    learner.load(saved)
                    stepper.load(saved)
                    stepper.forgive()  # the new rate has its own patience
                    whole = True
                    if recorder:
                        recorder.rewind(step)
    except RuntimeError as error:
        raise _explained(error, fabric, run) from error
    finally:
        if whole or not learner.moved:  # another process may be lost before anything has moved
            save()
        if recorder:
            if stopped:
                recorder.stopped(step, rate, learner.skipped, judge=not stopping.interrupted)
            journal.close()
        if fabric.world_size > 1:
            torch.distributed.destroy_process_group()
    if recorder and recorder.behind >= 0.01:
        notice(f"the last score is {recorder.behind:.3f} dB below the best, {recorder.best:.3f} dB")
    if first and step < recipe.total:
        notice(f"stopped at step {step} of {recipe.total}; the same command goes on")
    if stopping.interrupted:
        raise KeyboardInterrupt(stopping.interrupted)
    return average()


def _any(fabric: Fabric, asked: bool) -> bool:
    """Whether any process is asked to stop: all have to, after the same step."""
    if fabric.world_size == 1:
        return asked
    total = fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="sum")
    return bool(total > 0)  # type: ignore[operator]


def _explained(error: RuntimeError, fabric: Fabric, run: Path) -> Exception:
    """The error, in plain words where it means that a process is gone."""
    if "DataLoader worker" in str(error):
        return TrainingError(
            f"a worker process has ended ({error}); run again, with less --workers"
        )
    if isinstance(error, torch.OutOfMemoryError) or "t allocate memory" in str(error):
        return TrainingError("out of memory: take a smaller batch or patch")
    if fabric.world_size > 1:
        return TrainingError(
            f"process {fabric.global_rank} lost another one ({str(error).splitlines()[0]}); "
            f"the same command resumes {run}"
        )
    return error
