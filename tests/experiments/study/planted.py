"""A study whose every figure is known: points by hand, no model."""

from springback.experiments.study.config import row_of

PAIRS = 24


def point(data, loss, cure, seed, *, chosen, rejected, first=None):
    """Every held-out pair moves by `chosen` and `rejected`, give or take a little that is the same everywhere."""
    wobble = [0.01 * (-1) ** (pair + seed) for pair in range(PAIRS)]
    both = {"chosen": [chosen + w for w in wobble], "rejected": [rejected + w for w in wobble]}
    early = {side: [(first or {}).get(side, both[side][pair]) for pair in range(PAIRS)] for side in both}
    number = {"estimate": 0.1, "low": 0.0, "high": 0.2, "level": 0.95, "n": PAIRS, "over": "pairs", "unit": "x"}
    return {
        "name": f"{data}-{loss}-{cure}-{seed}", "data": data, "loss": loss, "cure": cure, "seed": seed,
        "start_margin": [0.0] * PAIRS, "held_out": both, "train": both, "first": early, "first_held_out": early,
        "first_batch": [0, 1, 2], "margin": number, "accuracy": number, "reward_accuracy": number, "kl": number,
        "steps": 4, "loss_end": 0.5,
    }  # fmt: skip


def points(*many, seeds=(0,)):
    """`(data, loss, cure, chosen, rejected)`, for every seed."""
    made = [point(*what, seed, chosen=chosen, rejected=rejected) for *what, chosen, rejected in many for seed in seeds]
    return {body["name"]: body for body in made}


def prediction(data, loss, cure="none", *, falls=0.0, margin_only=True, changes=None):
    share = {"estimate": falls, "low": 0.0, "high": 1.0, "level": 0.95, "n": PAIRS, "over": "pairs", "unit": "share"}
    sides = changes or {"chosen": [1.0 - 2.0 * (falls > 0.5)] * PAIRS, "rejected": [-1.0] * PAIRS}
    return {"data": data, "loss": loss, "cure": cure, "why": None, "note": "", "margin_only": margin_only,
            "chosen_falls": share, "rejected_rises": share, "margin_shrinks": share, "changes": sides}  # fmt: skip


def predictions(*bodies):
    return {row_of(body["data"], body["loss"], body["cure"]): body for body in bodies}


def diagnosis(data, cosine, reach=0.01):
    value = {"estimate": cosine, "low": cosine - reach, "high": cosine + reach, "level": 0.95, "n": 24,
             "over": "pairs", "unit": "cosine"}  # fmt: skip
    share = {"estimate": 0.5, "low": 0.3, "high": 0.7, "level": 0.95, "n": 24, "over": "pairs", "unit": "share"}
    return {"data": data, "cosine": value, "case_2": share, "case_3": share, "n": 24, "note": None}
