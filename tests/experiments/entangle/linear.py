"""A stand-in of known law: log-probabilities that are linear in the parameters, so first order is exact."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from springback.experiments.entangle import pair_record, pulls
from springback.experiments.entangle.config import Entangle
from springback.train.entanglement import PairGram, Products, Weights
from springback.train.preference import DPO
from springback.train.preference.pairs import Both, PairLogprobs

NAMES = ("model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight")
LAYERS = dict(zip(NAMES, ("outside the layers", "layer 0", "layer 1"), strict=True))
KINDS = dict(zip(NAMES, ("embedding and head", "q_proj", "up_proj"), strict=True))
DPO_ASKED = pulls.asked(DPO(), named="dpo")


class Linear:
    """Pairs are two vectors each; a step moves θ, and g·θ is what every answer's log-probability changes by."""

    def __init__(
        self, config: Entangle, vectors: np.ndarray, *, asked: pulls.Asked = DPO_ASKED, noise: float = 0.0
    ) -> None:
        """`vectors`: [pair, answer, dimension]. `noise`: of a measured change, nats."""
        self.config, self.vectors, self.asked, self.noise = config, vectors, asked, noise
        self.calls: list[str] = []

    def reference(self, batch: Sequence[int]) -> Mapping[str, Any]:
        self.calls.append("reference")
        return {"chosen": [-21.0] * len(batch), "rejected": [-20.0] * len(batch)}

    def forget_reference(self) -> None:
        self.calls.append("forget")

    def batch(self, number: int, batch: Sequence[int], reference: Any) -> Iterable[Any]:
        self.calls.append(f"batch {number}")
        policy, beside, weights = self._pulled(batch, reference)
        bodies = pair_record.bodies([self._gram(index) for index in batch], weights)
        direction = self._direction(batch, weights)
        for place, index in enumerate(batch):
            total = tuple(float(x) for x in self.vectors[index] @ direction)
            more = {"index": index, "where": f"made.jsonl:{index + 1}", "batch": number,
                    "tokens": {"prompt": 3, "chosen": 4, "rejected": 5, "prefix": 0},
                    "logprobs": {"chosen": float(policy.chosen[place]), "rejected": float(policy.rejected[place]),
                                 "reference_chosen": float(beside.chosen[place]),
                                 "reference_rejected": float(beside.rejected[place])},
                    "scores": {"ches": float(index), "ches_by_length": 0.5, "hidden_cosine": 0.1 * index,
                               "edit_distance": 3.0, "length_difference": -1.0},
                    "layers": pair_record.by_place(self._gram(index), LAYERS),
                    "kinds": pair_record.by_place(self._gram(index), KINDS)}  # fmt: skip
            yield "pair", str(index), {**more, **pair_record.with_batch(bodies[place], total, size=len(batch))}
            if index < self.config.probes:
                probe = {"tokens": 2, "text": "<b>x</b>", "change": float(direction.sum())}
                yield "probe", str(index), {"index": index, "greedy": probe, "unrelated": None, "greedy_ended": True}
        yield "batch", str(number), {"batch": number, "pairs": [*batch], "loss": 0.69,
                                     "gradient_norm": float(np.linalg.norm(direction)), "note": None}  # fmt: skip

    def steps(self, number: int, batch: Sequence[int], held_out: Sequence[int], rate: float, reference: Any) -> Any:
        self.calls.append(f"step {number} {rate:g}")
        _, _, weights = self._pulled(batch, reference)
        direction = self._direction(batch, weights)
        drawn = np.random.default_rng(number)
        pairs = []
        for index in (*batch, *held_out):
            change = rate * self.vectors[index] @ direction
            own = None
            if index in batch:
                place = list(batch).index(index)
                body = pair_record.bodies([self._gram(index)], Weights(*(one[place : place + 1] for one in weights)))[0]
                own = [rate * body[name] / len(batch) for name in ("chosen_change", "rejected_change")]
            measured = change + self.noise * drawn.standard_normal(2)
            pairs.append({"index": index, "held_out": index not in batch, "measured": measured.tolist(),
                          "directional": change.tolist(), "gradient": change.tolist(), "own": own})  # fmt: skip
        return {"batch": number, "rate": rate, "floor": 1e-9, "gradient_norm": 1.0, "scale": rate, "update_norm": rate,
                "loss": 0.69, "pairs": pairs, "probes": []}  # fmt: skip

    def tokens(self, index: int) -> Any:
        self.calls.append(f"tokens {index}")
        answer = [{"text": text, "marginal": part, "shared": text == "a"} for text, part in (("a", 2.0), ("<i>", -1.0))]
        return {"index": index, "chosen": answer, "rejected": answer, "prompt": "<script>why</script>"}

    def matrix(self, index: int) -> Any:
        self.calls.append(f"matrix {index}")
        return {"index": index, "chosen": ["a"], "rejected": ["b"], "values": [[1.0]]}

    def _pulled(self, batch: Sequence[int], reference: Any) -> tuple[PairLogprobs, PairLogprobs, Weights]:
        count = len(batch)
        tokens = Both(torch.full((count,), 4.0).double(), torch.full((count,), 5.0).double())
        policy = PairLogprobs(torch.full((count,), -20.0).double(), torch.full((count,), -22.0).double(), tokens=tokens)
        beside = pulls.given(policy, reference)
        return policy, beside, pulls.pulls(self.asked.loss, policy, beside)

    def _direction(self, batch: Sequence[int], weights: Weights) -> np.ndarray:
        up, down = weights.chosen.numpy()[:, None], weights.rejected.numpy()[:, None]
        return (up * self.vectors[batch, 0] - down * self.vectors[batch, 1]).mean(axis=0)

    def _gram(self, index: int) -> PairGram:
        thirds = np.array_split(np.arange(self.vectors.shape[2]), 3)
        parts = {
            name: Products(*(float(x) for x in self._three(index, at))) for name, at in zip(NAMES, thirds, strict=True)
        }
        return PairGram(parts=parts, rest_parts=parts, prefix_square=0.0, prefix_tokens=0, tokens=(4, 5),
                        logprobs=(-20.0, -22.0))  # fmt: skip

    def _three(self, index: int, at: np.ndarray) -> tuple[float, float, float]:
        w, other = self.vectors[index, 0, at], self.vectors[index, 1, at]
        return w @ w, other @ other, w @ other


def drawn(pairs: int, *, seed: int = 0, alike: float = 0.8, dimension: int = 12) -> np.ndarray:
    """Random pairs; `alike` is about the cosine of the two gradients."""
    random = np.random.default_rng(seed)
    common = random.standard_normal((pairs, 1, dimension))
    own = random.standard_normal((pairs, 2, dimension))
    return np.sqrt(alike) * common + np.sqrt(1 - alike) * own
