"""One training step: patches in, weights moved; on a GPU as a single launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric import Fabric

from wdsr.networks import Network
from wdsr.train.losses import l1, weighted
from wdsr.train.recipe import Recipe
from wdsr.train.trainee import Trainee

# (lr, hr, the loss that all processes agreed on; None: this one's) -> loss
_Take = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


class Stepper:
    """Takes the steps of a recipe; each stage's as one CUDA graph, if alone on a GPU."""

    def __init__(
        self,
        fabric: Fabric,
        learner: Trainee,
        recipe: Recipe,
        teacher: Network | None,
        pretrained: Path | None = None,
    ) -> None:
        self._fabric, self._learner, self._recipe = fabric, learner, recipe
        self._pretrained = pretrained
        self.capture = fabric.device.type == "cuda" and fabric.world_size == 1
        self._teacher = teacher
        if teacher is not None:
            teacher.eval().to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._takes: dict[int, _Take | Captured] = {}  # by number of stage

    @property
    def in_a_row(self) -> torch.Tensor:
        """Steps that were not finite since the last good one: a scalar."""
        return self._learner.in_a_row

    def forgive(self) -> None:
        """Count anew."""
        self._learner.in_a_row.zero_()

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold beside the learner's state."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """After the learner's state was replaced: what was captured holds the old one."""
        self._takes.clear()

    def take(self, step: int, lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        """Take step number `step` with these patches; returns its loss, on the device."""
        stage, _ = self._recipe.stage_at(step)
        number = next(n for n, other in enumerate(self._recipe.stages) if other is stage)
        if number not in self._takes:
            self._takes.clear()
            plain = self._plain(number)
            self._takes[number] = Captured(plain, self._learner, lr, hr) if self.capture else plain
        return self._takes[number](lr, hr, None)

    def _plain(self, number: int) -> _Take:
        stage = self._recipe.stages[number]
        loss_of = weighted(stage.losses, self._pretrained)

        def take(lr: torch.Tensor, hr: torch.Tensor, agreed: torch.Tensor | None) -> torch.Tensor:
            self._learner.before()
            sr = self._learner.network(lr)
            loss = loss_of(sr, hr)
            if stage.distillation and self._teacher is not None:
                with torch.no_grad(), self._fabric.autocast():
                    wanted = self._teacher(lr).float()
                loss = loss + stage.distillation * l1(sr, wanted)
            if agreed is None and self._fabric.world_size > 1:
                agreed = cast(torch.Tensor, self._fabric.all_reduce(loss.detach()))  # the mean
            self._learner.update(loss, agreed)
            return loss.detach() if agreed is None else agreed

        return take


class Captured:
    """A whole step as one CUDA graph: small networks wait for launches, not for arithmetic."""

    def __init__(self, take: _Take, learner: Trainee, lr: torch.Tensor, hr: torch.Tensor) -> None:
        self._lr, self._hr = lr.clone(), hr.clone()
        # Libraries choose their kernels in the first calls, which a graph cannot hold.
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), learner.rehearsal() as nothing:
            for _ in range(3):
                take(self._lr, self._hr, nothing)
        torch.cuda.current_stream().wait_stream(side)
        learner.forget_gradients()  # so that they are made inside, in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        # Thread-local: the loader's thread may take pinned memory meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._loss = take(self._lr, self._hr, None)

    def __call__(
        self, lr: torch.Tensor, hr: torch.Tensor, agreed: torch.Tensor | None
    ) -> torch.Tensor:
        """Take the step with these patches; returns the loss."""
        self._lr.copy_(lr)
        self._hr.copy_(hr)
        self._graph.replay()
        return self._loss.clone()
