"""Tables, claims and the verdict of a study, from its stored points and predictions. Torch-free."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from springback.experiments.study import claims, table
from springback.experiments.study.config import Study
from springback.experiments.study.readings import groups

Record = tuple[str, str, dict[str, Any]]
Read = Callable[[str], Mapping[str, Mapping[str, Any]]]
"""Records of a kind by key."""


def records(read: Read, config: Study) -> Iterator[Record]:
    """Rows, claims, accounting; the verdict last."""
    points = read("point")
    found = groups(points)
    rows = dict(table.rows(found, read("predicted")))
    for key, body in rows.items():
        yield "row", key, body
    told = dict(claims.claims(found, read("diagnosis"), read("predicted"), rows))
    for key, body in told.items():
        yield "claim", key, body
    yield "accounting", "accounting", {
        "trainings": {"planned": len(config.combinations()), "done": len(points)},
        "sets": [{name: body[name] for name in ("name", "train", "held_out", "ledgers")} for body in
                 read("set").values()],
    }  # fmt: skip
    yield "verdict", "verdict", verdict(rows, told)


def verdict(rows: Mapping[str, Mapping[str, Any]], told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How many claims held, and which way the first loss moved chosen answers on each set."""
    outcomes = [body["outcome"] for body in told.values()]
    first = next(iter(rows.values()))["loss"]
    moved = ", ".join(
        f"{row['data']} {row['tests']['chosen']['outcome']}"
        for row in rows.values()
        if (row["loss"], row["cure"]) == (first, "none")
    )
    counted = ", ".join(
        f"{outcomes.count(name)} {words}" for name, words in (("holds", "held"), ("fails", "failed"),
        ("undecided", "undecided"), ("not_tested", "not tested"))
    )  # fmt: skip
    return {
        "label": "studied", "claims": {name: body["outcome"] for name, body in told.items()},
        "sentence": f"Claims: {counted}. Held-out chosen answers under {first} without a cure: {moved}.",
    }  # fmt: skip
