"""Exact KL over the vocabulary along an answer: one forward for all positions against one forward for each token.

The loop is how the authors of AlignTDS (Lin et al. 2023, arXiv 2312.01552) do it, without a cache. Both must agree
within 1e-5 bits; the goal is a ratio of 15.

    OMP_NUM_THREADS=1 python bench/exact_kl.py [--answers 2] [--tokens 48]
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models.language_model import LanguageModel
from springback.models.load import load
from springback.models.rows import Row
from springback.models.score import answer_logits
from springback.models.tiny import tiny
from springback.tensors.divergences import kl_bits

GOAL = 15


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def one_pass(start: nn.Module, moved: nn.Module, rows: Sequence[Row]) -> list[Tensor]:
    """Every position of an answer from one forward of each network."""
    pairs = zip(answer_logits(start, rows), answer_logits(moved, rows), strict=True)
    return [kl_bits(p, q) for p, q in pairs]


def token_by_token(start: nn.Module, moved: nn.Module, rows: Sequence[Row]) -> list[Tensor]:
    """A forward of each network over the whole text again for each answer token."""
    return [torch.stack([_one(start, moved, row, upto) for upto in range(len(row.answer))]) for row in rows]


@torch.no_grad()
def _one(start: nn.Module, moved: nn.Module, row: Row, upto: int) -> Tensor:
    ids = torch.tensor([row.prompt + row.answer[:upto]])
    p, q = (network(ids, use_cache=False).logits[0, -1].double().log_softmax(-1) for network in (start, moved))
    return (p.exp() * (p - q)).sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))


def models() -> tuple[LanguageModel, LanguageModel]:
    """The embedded model where it was pulled, else the tiny one; and a copy whose weights were moved a little."""
    try:
        start, moved = (load("smollm2-135m-instruct", dtype=torch.float32) for _ in range(2))
    except RefusedError as refused:
        say(f"{refused.message} Using the tiny model.")
        start, moved = tiny(), tiny()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in moved.network.parameters():
            parameter.mul_(1 + 0.02 * torch.randn(parameter.shape, generator=generator))
    return start, moved


def texts(vocab: int, answers: int, tokens: int) -> list[Row]:
    """Random ids: the work does not depend on what they say."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, vocab, (answers, 38 + tokens), generator=generator).tolist()
    return [Row(tuple(row[:38]), tuple(row[38:]), 0, tokens) for row in ids]


def timed(work: Callable[[], list[Tensor]]) -> tuple[float, list[Tensor]]:
    """CPU seconds, which other work on the machine disturbs less than wall time."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48)
    asked = parser.parse_args()
    start, moved = models()
    vocab = start.network.config.get_text_config().vocab_size
    rows = texts(vocab, asked.answers, asked.tokens)
    one_pass(start.network, moved.network, rows[:1])  # warm
    quick, found = timed(lambda: one_pass(start.network, moved.network, rows))
    slow, expected = timed(lambda: token_by_token(start.network, moved.network, rows))
    apart = float((torch.cat(found) - torch.cat(expected)).abs().max())
    assert apart <= 1e-5, f"one pass and token by token differ by {apart:.1e} bits"
    say(f"{start.name}: {asked.answers} answers of {asked.tokens} tokens, {torch.get_num_threads()} threads")
    say(f"one pass {quick:.2f} CPU-s, token by token {slow:.2f} CPU-s: {slow / quick:.1f} times (goal {GOAL})")
    say(f"largest difference {apart:.1e} bits, mean KL {float(torch.cat(found).mean()):.3f} bits a token")


if __name__ == "__main__":
    main()
