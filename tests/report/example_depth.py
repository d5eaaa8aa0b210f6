"""Layer, prefill, position and strip records of the example run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.report.example_run import Example

Made = Iterator[tuple[str, str, dict[str, Any]]]
WORDS = ("A", " funny", ",", " character", " driven", " thr", "iller", " with", " a", " usual", " cast", ".")
TOP = (("film", 0.11), (" story", 0.09), (" single", 0.07), (" movie", 0.06), (" ", 0.04))


def records(run: "Example") -> Made:
    if not run.sizes:
        return
    yield from _layers(run)
    last = run.sizes[-1]
    models = ["main/0/0", f"main/{last}/0", f"benign/{last}/0", *(f"main/{last}/{n}" for n in run.reversals[-1:])]
    for model in models:
        arm, size, n = model.split("/")
        yield from _model(run, f"0/{model}", arm, int(size), int(n))
    yield from (_strip(run, i, f"0/main/{last}/0") for i in range(3))


def _layers(run: "Example") -> Made:
    from tests.report.example_run import measured, missing

    gone = missing("the interval of the change includes 0")
    for direction in ("start_into_aligned", "aligned_into_start"):
        for layer in range(0, 30, 3):
            share = gone if run.still else measured(layer**2 / 29**2, 0.22, 48, "pairs", "share")
            placebo = gone if run.still else measured(0.03, 0.14, 48, "pairs", "share")
            yield "layer", f"{direction}/{layer}", {
                "pair": ["0/main/0/0", f"0/main/{run.sizes[-1]}/0"], "direction": direction, "layer": layer,
                "layers": 30, "recovered": share, "placebo": placebo,
            }  # fmt: skip


def _model(run: "Example", cell: str, arm: str, size: int, n: int) -> Made:
    from tests.report.example_run import measured, missing

    level, kl = run.at("score", arm, size, n), run.at("kl", arm, size, n)
    for k in (0, 1, 2, 4, 8):
        score = measured(level - 0.1 * (1 - 2**-k), 0.058) if run.scored else missing("AUC 0.61 is below 0.65")
        yield "prefill", f"{cell}/{k}", {"model": cell, "forced_tokens": k, "score": score}
    for position in range(1, run.tokens):
        here = kl * (1 + 0.5 / position)
        both = {"kl_from_start": here, "kl_to_start": measured(here * 0.9, 0.1 * here, 40, "answers", "bit/token")}
        shift = {"1": 0.61, "2_3": 0.2, "over_3": 0.19}
        yield "position", f"{cell}/{position}", {"cell": cell, "position": position, **both, "n": 40, "shift": shift}


def _strip(run: "Example", index: int, cell: str) -> tuple[str, str, dict[str, Any]]:
    from tests.report.example_run import prompt

    tokens = [
        {
            "text": word + run.text, "kl": 0.0 if run.still else 3.4 / (k + 1), "rank_shift": k % 4,
            "start_top": [[text + run.text, p] for text, p in TOP], "model_top": [[word + run.text, 0.14], *TOP[1:]],
        }
        for k, word in enumerate(WORDS)
    ]  # fmt: skip
    body = {"cell": cell, "against": "0/main/0/0", "prompt": prompt(run, index), "tokens": tokens}
    return "strip", str(index), body
