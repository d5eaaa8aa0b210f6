"""AdamW (Loshchilov and Hutter, 2019) with fp32 masters under bf16 weights.

A bf16 weight near 1 cannot move by less than 0.004, so an update of 1e-4 is lost in it (and a model looks as if it
resisted). The masters hold the weights in fp32 and take the updates; the network computes with their rounding.
fp32 and fp64 weights are their own masters, without a copy. The update is torch's own, on pieces of a tensor, so that
no second fp32 set of gradients exists.

Memory for bf16 weights, in bytes a parameter: weights 2, masters 4, moments 8, gradients 2; where micro-batches are
accumulated, 4 more for their fp32 sum (gradients of 2 live only within one backward pass). For fp32 weights:
weights 4, moments 8, gradients 4, accumulated or not.

What it does not do: fp16 (it would need loss scaling and is refused), sharding, parameter groups.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from springback.fit.slots import Slot, slots

PIECE = 1 << 20
"""Elements updated at once: small enough for the cache of a CPU, large enough to share among threads."""
LINE = 1 << 10
"""Elements summed in fp32 at a time; divides `PIECE`."""
FUSED = frozenset({"cpu", "cuda", "mps", "xpu"})
"""Device types with torch's fused AdamW."""


class MasterAdamW:
    """AdamW over the trainable parameters of a network, kept in fp32 whatever the network computes in."""

    def __init__(
        self,
        network: nn.Module,
        masters: Mapping[str, Tensor] | None = None,
        *,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """`masters`: the weights in full precision, as on disk; without them the masters start at the rounded ones.

        `ValueError` where a trainable tensor has no master, or one that is not the network's weight before rounding.
        """
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.slots = slots(network, masters)
        if not self.slots:
            raise ValueError(
                "The network has no trainable parameter: `network.requires_grad_(True)`, or attach an adapter."
            )
        self.norms: dict[str, float] = {}
        self.gather: Callable[[Sequence[Slot]], None] | None = None
        """Called once a step, before the norm: where the gradients of other processes are added (`fit.spread`)."""
        self._scratch: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    @torch.no_grad()
    def fold(self) -> None:
        """Add the gradients of one micro-batch to fp32 sums (fp32 weights: autograd has already done so)."""
        for slot in self.slots:
            gradient = slot.weight.grad
            if gradient is None or slot.master is slot.weight:
                continue
            slot.sum = gradient.float() if slot.sum is None else slot.sum.add_(gradient)
            slot.weight.grad = None

    @torch.no_grad()
    def norm(self) -> float:
        """Norm of all gradients, each tensor's in fp32 and together in fp64; `norms` keeps each tensor's.

        Asked once a step: it is here that the gradients of other processes come in.
        """
        if self.gather is not None:
            self.gather(self.slots)
        squares = [self._square(slot) for slot in self.slots]
        device = squares[0].device
        values = torch.stack([square.to(device) for square in squares]).tolist()
        self.norms = {slot.name: math.sqrt(value) for slot, value in zip(self.slots, values, strict=True)}
        return math.sqrt(math.fsum(values)) if all(map(math.isfinite, values)) else math.nan

    def faulty(self) -> list[str]:
        """Tensors whose gradient was not finite at the last `norm`."""
        return [name for name, norm in self.norms.items() if not math.isfinite(norm)]

    @torch.no_grad()
    def step(self, *, lr: float, scale: float = 1.0) -> None:
        """One AdamW update with the gradients times `scale`; tensors without a gradient are left alone, as in torch."""
        for slot in self.slots:
            if slot.gradient is None:
                continue
            if slot.first is None or slot.second is None:
                slot.first, slot.second = torch.zeros_like(slot.master), torch.zeros_like(slot.master)
            for piece in _pieces(slot.master.numel()):
                self._update(slot, piece, lr, scale)
            slot.steps += 1

    def discard(self) -> None:
        """Free the gradients."""
        for slot in self.slots:
            slot.weight.grad = slot.sum = None

    def free_moments(self) -> None:
        """Forget moments and step counts and free their memory: the next step is one from a fresh state."""
        for slot in self.slots:
            slot.first = slot.second = None
            slot.steps.zero_()

    def state(self, *, moments: bool = True) -> dict[str, Tensor]:
        """Masters, and moments with their step counts where there are any. Live tensors: save them before a step."""
        state = {f"master/{slot.name}": slot.master.detach() for slot in self.slots}
        for slot in self.slots if moments else ():
            if slot.first is not None and slot.second is not None:
                state |= {f"first/{slot.name}": slot.first, f"second/{slot.name}": slot.second}
                state[f"steps/{slot.name}"] = slot.steps
        return state

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back a `state`, tensor by tensor; the network's weights become its rounding, old gradients are dropped.

        `ValueError` where it belongs to other tensors; then nothing has been changed.
        """
        self._check(state)
        self.discard()
        self.free_moments()
        for slot in self.slots:
            slot.master.copy_(state[f"master/{slot.name}"])
            if slot.master is not slot.weight:
                slot.weight.copy_(slot.master)
            if f"first/{slot.name}" in state:
                slot.first = torch.empty_like(slot.master).copy_(state[f"first/{slot.name}"])
                slot.second = torch.empty_like(slot.master).copy_(state[f"second/{slot.name}"])
                slot.steps.copy_(state[f"steps/{slot.name}"])

    def _check(self, state: Mapping[str, Tensor]) -> None:
        names = {slot.name for slot in self.slots}
        kinds = {kind: {key.partition("/")[2] for key in state if key.startswith(f"{kind}/")} for kind in _KINDS}
        if kinds["master"] != names or len(state) != sum(map(len, kinds.values())):
            wrong = sorted(kinds["master"] ^ names)[:3]
            raise ValueError(f"The state is not one of this network's trainable tensors: {wrong or 'unknown kinds'}.")
        if not kinds["first"] == kinds["second"] == kinds["steps"]:
            raise ValueError("The state has moments for some tensors of a pair only.")
        for slot in self.slots:
            if state[f"master/{slot.name}"].shape != slot.master.shape:
                raise ValueError(f"{slot.name} has another shape in the state.")

    def _square(self, slot: Slot) -> Tensor:
        """Squared norm of one tensor's gradient, fp64 where the device has it."""
        gradient, accurate = slot.gradient, torch.float32 if slot.master.device.type == "mps" else torch.float64
        total = torch.zeros((), dtype=accurate, device=slot.master.device)
        if gradient is not None:
            for piece in _pieces(gradient.numel()):
                lines = self._lines(self._gradient(slot, gradient, piece))
                total += torch.linalg.vector_norm(lines, dim=1).to(accurate).square().sum()
        return total

    def _lines(self, part: Tensor) -> Tensor:
        """The scratch memory of `part` as lines filled up with zeros: a long fp32 sum is not accurate."""
        scratch, length = self._scratch[part.device, part.dtype], part.numel()
        whole = -(-length // LINE) * LINE
        scratch[length:whole].zero_()
        return scratch[:whole].view(-1, LINE)

    def _gradient(self, slot: Slot, gradient: Tensor, piece: slice) -> Tensor:
        """A piece of the gradient in the master's dtype: a copy, in scratch memory."""
        key = (slot.master.device, slot.master.dtype)
        if key not in self._scratch:
            self._scratch[key] = torch.empty(PIECE, device=key[0], dtype=key[1])
        part = gradient.reshape(-1)[piece]
        return self._scratch[key][: part.numel()].copy_(part)

    def _update(self, slot: Slot, piece: slice, lr: float, scale: float) -> None:
        assert slot.gradient is not None
        assert slot.first is not None
        assert slot.second is not None
        gradient = self._gradient(slot, slot.gradient, piece).mul_(scale)
        flat = slot.master.view(-1)[piece]
        adamw(
            [flat], [gradient], [slot.first.view(-1)[piece]], [slot.second.view(-1)[piece]], [], [slot.steps.clone()],
            fused=slot.master.device.type in FUSED, amsgrad=False, maximize=False, lr=lr, eps=self.eps,
            beta1=self.betas[0], beta2=self.betas[1], weight_decay=self.weight_decay,
        )  # fmt: skip
        if slot.master is not slot.weight:
            slot.weight.view(-1)[piece].copy_(flat)


_KINDS = ("master", "first", "second", "steps")


def _pieces(elements: int) -> Iterator[slice]:
    return (slice(start, start + PIECE) for start in range(0, elements, PIECE))
