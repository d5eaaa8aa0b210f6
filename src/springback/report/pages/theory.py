"""The page of a theory run: the derivatives against k and l, three ways side by side, Hooke's law, Huffman's code."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import pointed
from springback.report.numbers import short
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table
from springback.report.value import Value, finite

Found = Sequence[tuple[str, Body]]
"""`kind:key` and body of records."""
SIDES = (("p", "s0", "pretraining"), ("a", "al", "alignment"))
WAYS = ("finite_difference", "autograd")


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `row`, `hooke` and `huffman`."""
    del meta
    rows, hooke, huffman = (_of(records, kind) for kind in ("row", "hooke", "huffman"))
    held = sum(bool(body.get("signs_hold")) for _, body in rows)
    return Sheet(
        subject="theorem 4.2 on a mixture of counts",
        answer=f"The signs of theorem 4.2 hold in {held} of {len(rows)} rows",
        lead=_lead(rows),
        sections=(_against(rows), _ways(rows), _hooke(hooke), _huffman(huffman)),
        kinds=("row", "hooke", "huffman"),
    )


def _of(records: Records, kind: str) -> Found:
    return [(f"{kind}:{key}", body) for key, body in (records.get(kind) or {}).items()]


def _lead(rows: Found) -> str:
    worst = {way: max((_off(body, way) for _, body in rows), default=0.0) for way in WAYS}
    return (
        "They hold where D_t is small (l below l*) and does not resemble D_a more than pretraining does (c₂ below 1). "
        f"Against the closed form, finite differences are off by at most {short(worst['finite_difference'])} of the "
        f"value and autograd by {short(worst['autograd'])}."
    )


def _off(body: Body, way: str) -> float:
    pairs = [(finite(body.get(name)), finite(found)) for name, found in (body.get(way) or {}).items()]
    return max((abs(other / exact - 1) for exact, other in pairs if exact and other is not None), default=0.0)


def _against(rows: Found) -> Section:
    """Charts of each construction whose derivatives are not 0."""
    charts = tuple(chart for group in _groups(rows) for chart in (_by_k(group), _by_l(group)))
    note = "" if charts else "Every derivative is 0: all data sets have one distribution."
    prose = (
        "Left: the size of both derivatives at the smallest l. Right: the pretraining side without its powers of K; it "
        "crosses 0 at l*, and beyond it more reversal data makes pretraining worse too.",
    )
    return Section("Where the signs flip", prose=prose, charts=charts, note=note)


def _groups(rows: Found) -> Iterator[Found]:
    """Rows of one construction (masses, overlap), once for those whose masses make no difference."""
    found: dict[tuple[str, str], list[tuple[str, Body]]] = {}
    for record, body in rows:
        found.setdefault((str(body["overlap"]), str(body["masses"])), []).append((record, body))
    seen: set[str] = set()
    for (overlap, _), group in found.items():
        mark = overlap + "".join(short(body["dgamma_a_dl"]) for _, body in group)
        if mark not in seen and all(body["dgamma_p_dl"] and body["dgamma_a_dl"] for _, body in group):
            seen.add(mark)
            yield group


def _by_k(group: Found) -> Chart:
    least = min(body["l"] for _, body in group)
    chosen = sorted(((r, b) for r, b in group if b["l"] == least), key=lambda found: found[1]["k"])
    series = tuple(
        Series(role, tuple(Spot(b["k"], Value(abs(b[f"dgamma_{side}_dl"]), record=r)) for r, b in chosen), name)
        for side, role, name in SIDES
    )
    axes = Axis("k = |D_p|/|D_a|", log=True), Axis("|dγ/dl|, bit per symbol", log=True)
    picture = lines(Lines(f"Both derivatives against k, {_place(group)}", series, *axes))
    return Chart(picture, f"Size of both derivatives, {_place(group)}.", f"l = {short(least)}; both axes logarithmic.")


def _by_l(group: Found) -> Chart:
    sizes = sorted({body["k"] for _, body in group})
    series = tuple(Series("s0", tuple(_scaled(group, k)), f"k = {short(k)}") for k in sizes)
    star = finite(group[0][1].get("l_star"))
    upright = (star, f"l* = {short(star)}") if star is not None and star > 0 else None
    held = (0.0,) if upright is None else (0.0, upright[0])
    axes = Axis("l = |D_t|/|D_a|", include=held), Axis("K²·d·ln 2·dγ_p/dl")
    shown = Lines(f"The pretraining side against l, {_place(group)}", series, *axes, level=0.0, upright=upright)
    return Chart(
        lines(shown), f"The pretraining side, {_place(group)}.", "Below 0: pretraining data compresses better."
    )


def _scaled(group: Found, k: float) -> list[Spot]:
    own = sorted(((r, b) for r, b in group if b["k"] == k), key=lambda found: found[1]["l"])
    return [Spot(b["l"], Value(b["leading"]["p"], record=r)) for r, b in own]


def _place(group: Found) -> str:
    body = group[0][1]
    overlap = str(body["overlap"])
    share = "" if overlap in ("disjoint", "full") else "overlap "
    return f"{body['masses']} masses, {share}{overlap}"


def _ways(rows: Found) -> Section:
    heads = ("masses, overlap", "k", "l", "dγ_p/dl", "dγ_a/dl", "dγ_t/dl", "c₂", "c₃", "l*", "exact l*", "signs")
    names = ("k", "l", "dgamma_p_dl", "dgamma_a_dl", "dgamma_t_dl", "c2", "c3", "l_star", "l_star_exact")
    grid = Grid("Derivatives of the rates", heads, tuple(
        (_place([found]), *_cells(found, names), "hold" if found[1]["signs_hold"] else "do not hold") for found in rows
    ))  # fmt: skip
    prose = (
        "γ is bits of code for each source symbol, so larger is worse. The derivative is in l = |D_t|/|D_a|, exact for "
        "the mixture q = [k·P_p + P_a + l·P_t]/(k + 1 + l).",
        "l* = (1 − c₂)/(c₃ − 1) is the leading order in 1/k; the exact one is the root at this k.",
    )
    note = "The paper's first version prints both signs positive, for a γ that is the reciprocal of this one."
    return Section("Three ways", prose=prose, grid=grid, data=_all(rows), note=note)


def _all(rows: Found) -> Table:
    exact = ("dgamma_p_dl", "dgamma_a_dl", "dgamma_t_dl")
    heads = ("masses", "overlap", "alpha", "seed", "depth", "k", "l", *exact, "c2", "c3", "l_star", "l_star_exact")
    others = [(way, name) for way in WAYS for name in exact]
    return table(
        "theory", "Derivatives in three ways", (*heads, *(f"{way}_{name}" for way, name in others), "signs", "record"),
        ((*(body.get(h) for h in heads), *(body[way][name] for way, name in others),
          "hold" if body["signs_hold"] else "do not hold", record) for record, body in rows),
    )  # fmt: skip


def _hooke(found: Found) -> Section:
    heads = ("masses, overlap", "k", "F_p, bit", "F_a, bit", "−F_a/F_p", "printed KL of D_p", "printed KL of D_a")
    grid = Grid("Forces on two springs in series", heads, tuple(
        (_place([one]), *_cells(one, ("k", "force_p", "force_a", "ratio")), *(_printed(one, side) for side in "pa"))
        for one in found
    ))  # fmt: skip
    stretch = next((f"from {short(b['l_from'])} to {short(b['l_to'])}" for _, b in found), "")
    prose = (
        f"F_i = |D_i|·ΔKL(P_i‖q) when l grows {stretch}. Springs in series carry equal forces: −F_a/F_p = 1.",
        "The printed KL runs the other way, KL(q‖P_i), and is infinite wherever the mixture has what D_i lacks.",
    )
    return Section("Hooke’s law", prose=prose, grid=grid)


def _printed(one: tuple[str, Body], side: str) -> Markup | str:
    record, body = one
    bits = finite(body["printed_kl"][side].get("value"))
    return "infinite" if bits is None else pointed(short(bits), record, stored=bits)


def _huffman(found: Found) -> Section:
    heads = ("masses, overlap", "data", "leaves", "H", "⌈H⌉", "Huffman")
    grid = Grid("Bits for a block of d symbols", heads, tuple(
        (_place([one]), f"D_{one[1]['data']}", *_cells(one, ("leaves", "ideal", "printed", "huffman"), 6))
        for one in found
    ))  # fmt: skip
    prose = (
        "The theorem is about H, the ideal length. ⌈H⌉ is what theorem 3.4 prints and no code’s length; Huffman’s code "
        "lies between H and H + 1, and its lengths do not move under small changes of the masses.",
    )
    return Section("Code lengths of a block", prose=prose, grid=grid)


def _cells(one: tuple[str, Body], names: Sequence[str], digits: int = 4) -> tuple[Markup | str, ...]:
    record, body = one
    numbers = [finite(body.get(name)) for name in names]
    return tuple("–" if n is None else pointed(short(n, digits), record, stored=n) for n in numbers)
