"""The page of self-play: what the model wrote in each round. Each round has a page of its own for what it learnt."""

from collections.abc import Mapping
from typing import Any

from springback.report.evidence import Records
from springback.report.markup import counted
from springback.report.pages.sheet import Grid, Section, Sheet

SIDES = (("training", "training"), ("held_out", "held-out"))


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `round`."""
    bodies = list((records.get("round") or {}).items())
    over = next((str(body["over"]) for _, body in bodies if body["over"]), "")
    asked = meta.get("asked") or {}
    rows = tuple(
        (str(body["round"]), words, *(counted(body[side][name], f"round:{key}")
                                      for name in ("prompts", "pairs", "same", "unusable", "cut_off")))
        for key, body in bodies for side, words in SIDES
    )  # fmt: skip
    heads = ("round", "side", "prompts", "pairs", "same as the file’s", "no text", "cut off")
    prose = (
        "In every round the model at its start answers all prompts; the file’s answer is chosen, its own is rejected, "
        "and the round’s start is the reference. An answer that is the file’s makes no pair.",
    )
    section = Section("The model’s own answers", prose=prose, grid=Grid("By round", heads, rows))
    return Sheet(
        subject=f"self-play under {asked.get('loss', 'a loss')}", answer=f"{len(bodies)} rounds of self-play.",
        lead=over or "The pages of the rounds say what each of them did.", record="", sections=(section,),
        kinds=("round",),
    )  # fmt: skip
