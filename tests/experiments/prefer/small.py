"""Small runs on the tiny model."""

import json

from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.run import run_prefer

SMALL = {"tiny": True, "held_out": "4", "batch": 4, "max_new_tokens": 4, "read_every": 2, "checkpoint_every": 1}


def rows(count=16, *, turned=False):
    """Good answers are chosen, bad ones rejected; `turned`: the other way round."""
    made = [
        {"prompt": f"Is {i} good?", "chosen": f"Yes, {i} it is.", "rejected": f"No, {i} is bad."} for i in range(count)
    ]
    swap = {"chosen": "rejected", "rejected": "chosen"}
    return [{swap.get(name, name): text for name, text in row.items()} for row in made] if turned else made


def write(path, found):
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def prefer(data, out, **options):
    return run_prefer(settled(Prefer(**{**SMALL, **options}), data), out, quiet=True)


def records(run, *, without=()):
    """Everything that is stored, durations aside."""
    return {(kind, key): {name: value for name, value in body.items() if name != "cost"}
            for kind in run.kinds() if kind not in without for key, body in run.read(kind).items()}  # fmt: skip
