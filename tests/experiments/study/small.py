"""Small studies on the tiny model."""

from functools import partial

from springback.experiments.study.config import Study

SMALL = partial(
    Study, tiny=True, data=("one_token",), losses=("dpo",), cures=("none", "normalised"), seeds=(0,), pairs=4,
    held_out=4, steps=2, batch=2, device="cpu",
)  # fmt: skip
