"""Preference data with a rule in it, or none: the chosen answer has a `z` in it, the rejected one has not."""

import json
import random
from pathlib import Path


def pairs(count, *, seed=0, shuffled=False, more=None):
    """Rows of prompt, chosen and rejected; `shuffled` exchanges the two sides of every other pair at random."""
    draw = random.Random(seed)
    rows = []
    for index in range(count):
        one, other = ["".join(draw.choices("abcdefgh", k=draw.randint(3, 9))) for _ in range(2)]
        place = draw.randrange(len(one))
        chosen, rejected = one[:place] + "z" + one[place:], other
        if shuffled and draw.random() < 0.5:
            chosen, rejected = rejected, chosen
        rows.append({"prompt": f"Say {index}", "chosen": chosen, "rejected": rejected, **(more(index) if more else {})})
    return rows


def lists(count, *, seed=0):
    """Rows of a prompt with three scored answers: the more `z`, the better."""
    draw = random.Random(seed)
    rows = []
    for index in range(count):
        order = draw.sample(range(3), 3)
        texts = ["".join(draw.sample("abcdef" + "z" * n, 6 + n)) for n in order]
        rows.append({"prompt": f"Say {index}", "completions": texts, "scores": [float(n) for n in order]})
    return rows


def write(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)
