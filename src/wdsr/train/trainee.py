"""A network that learns: with its optimiser, its averaged weights, and all that a checkpoint holds.

A loop makes the loss, a `Trainee` takes the step. Nothing here waits for the
device, so that a whole step can be captured as one CUDA graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from wdsr import networks
from wdsr.networks import Config, Network

OPTIMIZERS: dict[str, type[torch.optim.Adam | torch.optim.AdamW]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


class Trainee:
    """One network in training.

    fabric: moves it to its device and joins the gradients of all processes.
    bare: the network; what is called in training is `self.network`.
    optimizer, weight_decay, clip, ema: as in `Recipe`.
    """

    def __init__(
        self,
        fabric: Fabric,
        bare: nn.Module,
        *,
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        clip: float = 1.0,
        ema: float = 0.999,
    ) -> None:
        bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fabric, self._clip, self._ema = fabric, clip, ema
        self.bare = bare
        self.network: Any = fabric.setup_module(bare)
        self.parameters = list(bare.parameters())
        self._buffers = [b for b in bare.buffers() if b.is_floating_point()]
        self._optimizer: Any = OPTIMIZERS[optimizer](
            self.parameters,
            # A tensor, where a captured step must see it change.
            lr=torch.zeros((), device=fabric.device) if self._on_gpu else 0.0,
            weight_decay=weight_decay,
            fused=True,
            capturable=self._on_gpu,
        )
        # Running statistics of batch norm are no parameters, but a result depends on them too.
        self._learned = [t.detach() for t in (*self.parameters, *self._buffers)]
        self._average = [t.clone() for t in self._learned]
        self._kept: list[torch.Tensor] = []
        self.moved = False  # whether the step in hand has changed anything yet
        zero = torch.zeros((), device=fabric.device)
        self._steps, self.skipped, self.in_a_row = zero.clone(), zero.clone(), zero.clone()

    @property
    def _on_gpu(self) -> bool:
        return self._fabric.device.type == "cuda"

    def set_rate(self, learning_rate: float) -> None:
        """The learning rate of the next step."""
        self.rate = learning_rate
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(learning_rate)
            else:
                group["lr"] = learning_rate

    def before(self) -> None:
        """To be called before the network runs: what it changes in passing can be put back."""
        self._kept = [buffer.clone() for buffer in self._buffers]
        self.moved = bool(self._buffers)

    def update(self, loss: torch.Tensor, agreed: torch.Tensor | None = None) -> None:
        """One step down the gradient of `loss`; none if anything in it is not finite.

        agreed: the loss over all processes, so that all of them skip alike.
        `skipped` counts such steps, `in_a_row` those without a good one since.
        """
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.parameters, self._clip)
        good = norm.isfinite() & (loss if agreed is None else agreed).detach().isfinite()
        bad = (~good).float()
        self._optimizer.found_inf = bad
        self.moved = True
        self._optimizer.step()  # a fused step leaves everything as it is where found_inf is 1
        self._steps += 1
        # Early on, forget the start faster. (Not lerp: it would ask the device for the weight.)
        kept = torch.clamp(self._steps / (self._steps + 10), max=self._ema)
        for buffer, old in zip(self._buffers, self._kept, strict=False):
            buffer.copy_(torch.where(good, buffer, old))
        way = torch._foreach_sub(self._learned, self._average)
        torch._foreach_mul_(way, 1 - kept)
        torch._foreach_add_(self._average, way)
        self.skipped += bad
        self.in_a_row.add_(1).mul_(bad)

    def forget_gradients(self) -> None:
        """Let the next backward pass make them anew."""
        self._optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def rehearsal(self) -> Iterator[torch.Tensor]:
        """Steps taken with the yielded loss as `agreed` change nothing."""
        changed = [*self._average, self._steps, self.skipped, self.in_a_row]
        before = [tensor.clone() for tensor in changed]
        yield torch.full((), float("nan"), device=self._fabric.device)
        torch._foreach_copy_(changed, before)

    def averages(self) -> dict[str, torch.Tensor]:
        """The network's state with averaged values."""
        return dict(self.bare.state_dict()) | dict(zip(self._names, self._average, strict=True))

    @property
    def _names(self) -> list[str]:
        """Of what is averaged."""
        floats = [name for name, b in self.bare.named_buffers() if b.is_floating_point()]
        return [*(name for name, _ in self.bare.named_parameters()), *floats]

    def state(self) -> dict[str, Any]:
        """All that has to be kept to go on to the same bits."""
        return {
            "network": self.bare.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self.averages(),
            "trouble": [float(self._steps), float(self.skipped), float(self.in_a_row)],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.bare.load_state_dict(state["network"])
        rates = [group["lr"] for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            if isinstance(rate, torch.Tensor):  # stays the one that a captured step reads
                group["lr"] = rate.fill_(float(group["lr"]))
        average = state["average"]
        if isinstance(average, Mapping):
            average = [average[name] for name in self._names]
        for ours, theirs in zip(self._average, average, strict=True):
            ours.copy_(theirs)
        # Checkpoints of the first version count no skipped steps: there were none.
        counts = state.get("trouble", [float(state.get("step", 0)), 0.0, 0.0])
        for count, value in zip((self._steps, self.skipped, self.in_a_row), counts, strict=True):
            count.fill_(value)


def averaged(
    config: Config, average: Mapping[str, torch.Tensor] | Sequence[torch.Tensor]
) -> Network:
    """A CPU network in eval mode that holds this averaged state.

    average: by name; or the parameters alone, as the first version kept them.
    """
    network = networks.build(config)
    if not isinstance(average, Mapping):
        names = [name for name, _ in network.named_parameters()]
        average = network.state_dict() | dict(zip(names, average, strict=True))
    network.load_state_dict(average)
    return network.eval()
