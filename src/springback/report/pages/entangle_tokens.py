"""Pairs token by token: each token tinted by its part of the inner product with the other answer.

A token that ties the two answers together is blue with a bar below, one that holds them apart orange with a bar above;
both in four steps of its size against the largest of the pair, so the page reads without colour too.
"""

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from springback.report.evidence import Records
from springback.report.markup import num, pointed
from springback.report.numbers import count, short
from springback.report.pages.sheet import Section
from springback.report.point import Body
from springback.report.seen import said, token
from springback.report.tables import Table, table
from springback.report.value import Value, finite

STEPS: Final = (0.02, 0.15, 0.4, 0.7)
"""Shares of the pair's largest part at which the tint changes."""
LARGEST: Final = 10
"""Tokens of each answer in the table."""
TITLES: Final = {"worst": "The worst pairs", "best": "The best pairs"}
KEY: Final = Markup(
    '<span class="key">part of ⟨g_w, g_l⟩, of the largest in the pair: '
    '<i class="k1">2 to 15 %</i><i class="k2">to 40 %</i><i class="k3">to 70 %</i><i class="k4">more</i> ties together '
    '<i class="x1">2 to 15 %</i><i class="x2">to 40 %</i><i class="x3">to 70 %</i><i class="x4">more</i> holds apart'
    "</span>"
)


def sections(records: Records) -> list[Section]:
    """One section a side; none where no token was read."""
    found = records.get("tokens") or {}
    sides = {side: [body for body in found.values() if body["side"] == side] for side in TITLES}
    return [_section(side, bodies, records) for side, bodies in sides.items() if bodies]


def tint(part: float, largest: float) -> str:
    """The class of a token: k0 for next to nothing, k1 to k4 where it ties together, x1 to x4 where it holds apart."""
    size = abs(part) / largest if largest else 0.0
    step = sum(size >= bound for bound in STEPS)
    return f"{'k' if part > 0 or step == 0 else 'x'}{step}"


def _section(side: str, bodies: list[Body], records: Records) -> Section:
    told = {
        "worst": "Those whose chosen answer falls most for each unit of learning rate, a step on the pair alone.",
        "best": "Those whose chosen answer rises most.",
    }
    prose: list[str | Markup] = [told[side], KEY]
    for body in bodies:
        prose += _pair(body, records)
    return Section(TITLES[side], prose=tuple(prose), data=_data(side, bodies))


def _pair(body: Body, records: Records) -> list[Markup]:
    index = str(body["index"])
    pair = (records.get("pair") or {}).get(index, {})
    record = f"pair:{index}"
    changes = [_three(pair.get(name), record) for name in ("chosen_change", "rejected_change")]
    words = "<b>Pair {}</b>, {}, {} tokens in common at the beginning. Chosen {}, rejected {}, cosine {}. Prompt: {}"
    head = Markup(words).format(
        index, pair.get("where", ""), _prefix(pair, record), *changes,
        num(_plain(pair.get("cosine"), record), unit=False), said(_short(str(body.get("prompt", ""))))
    )  # fmt: skip
    return [head, _answer(body, "chosen"), _answer(body, "rejected")]


def _answer(body: Body, side: str) -> Markup:
    parts = [finite(t["marginal"]) or 0.0 for answer in ("chosen", "rejected") for t in body[answer]]
    largest = max(map(abs, parts), default=0.0)
    spans = Markup("").join(
        Markup('<span class="tok {}">{}</span>').format(
            tint(finite(t["marginal"]) or 0.0, largest), token(str(t["text"]))
        )
        for t in body[side]
    )
    return Markup('<b>{}</b> <span class="toks" data-record="tokens:{}">{}</span>').format(
        side, str(body["index"]), spans
    )


def _data(side: str, bodies: list[Body]) -> Table:
    """The largest parts of each answer; all of them stand in the stored run."""
    heads = ("pair", "answer", "place", "token", "part_of_wl", "in_both", "record")
    title = f"{TITLES[side]}: the {LARGEST} largest parts of each answer"
    return table(f"tokens_{side}", title, heads, (
        (body["index"], answer, place, str(t["text"]), t["marginal"], "yes" if t["shared"] else "no",
         f"tokens:{body['index']}")
        for body in bodies for answer in ("chosen", "rejected") for place, t in _largest(body[answer])
    ))  # fmt: skip


def _largest(tokens: list[Body]) -> list[tuple[int, Body]]:
    return sorted(enumerate(tokens), key=lambda item: -abs(finite(item[1]["marginal"]) or 0.0))[:LARGEST]


def _prefix(pair: Mapping[str, Any], record: str) -> Markup:
    tokens = (pair.get("tokens") or {}).get("prefix")
    return pointed("–" if tokens is None else count(tokens), record, stored=tokens)


def _three(number: Any, record: str) -> Markup:
    """At three digits, with its sign."""
    found = finite(number)
    return (
        num(_plain(number, record))
        if found is None
        else pointed("+" * (found > 0) + short(found), record, stored=found)
    )


def _plain(number: Any, record: str) -> Value:
    return Value(finite(number), record=record, why="not defined")


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]} …"
