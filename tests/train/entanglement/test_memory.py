"""What a pass over pairs leaves behind: nothing, and without waiting for the garbage collector."""

import gc
from functools import partial

import pytest
import torch
from tests.train.entanglement.pairs import network, pair

from springback.train.entanglement import inner_products
from springback.train.entanglement.cured_step import cured_step
from springback.train.entanglement.directional import directional
from springback.train.entanglement.pairwise_normalised import PairwiseNormalised
from springback.train.preference import DPO, PairLogprobs

PAIRS = [pair((1, 2, 3), (4, 5), (6, 7, 8)), pair((9, 8), (3, 4, 5), (6,))]
REFERENCE = PairLogprobs(torch.full((2,), -20.0).double(), torch.full((2,), -21.0).double())


def cured(built, *, inner):
    cured_step(built, PAIRS, DPO(), REFERENCE, PairwiseNormalised(), inner=inner).summed.total.backward()
    built.zero_grad(set_to_none=True)


def along(built):
    delta = {name: torch.ones_like(parameter) for name, parameter in built.named_parameters()}
    directional(built, [PAIRS[0].chosen, PAIRS[1].rejected], delta)


@pytest.mark.parametrize(
    "work",
    [lambda built: inner_products(built, PAIRS), partial(cured, inner=False), partial(cured, inner=True), along],
    ids=["products", "cured", "cured, with inner products", "along a step"],
)
def test_no_tensor_stays_after_a_pass(work):
    built = network("llama").requires_grad_(True)
    work(built)  # what is found out about a network once stays with it
    gc.collect()
    gc.disable()
    try:
        before = tensors()
        work(built)
        assert tensors() == before
    finally:
        gc.enable()


def tensors():
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
