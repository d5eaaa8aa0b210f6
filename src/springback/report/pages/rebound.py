"""The page of a rebound run: figures 4 to 6 of Ji et al. for one's own models, return, stiffness, what axes change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from springback.report.evidence import Records
from springback.report.markup import counted, num
from springback.report.pages.rebound_curves import across, curves
from springback.report.pages.rebound_words import called, label, linked, open_ended, plain, whys
from springback.report.pages.sheet import Grid, Section, Sheet
from springback.report.point import Body
from springback.report.value import Value, value

Row = tuple[str | Markup, ...]
UNFINISHED = "The sweeps are not all there; the same command goes on with them."
REACHED = {True: "yes", False: "no", None: "cannot tell"}
CORRELATED = ("score_kl", "margin_kl", "gamma_kl", "score_margin")


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `sweep`, `cell` and one of every reading of elasticity for each sweep.

    A run that is not complete has none of them: the page then says so.
    """
    found = dict(records.get("verdict", {}).get("verdict") or {})
    return Sheet(
        subject=str((meta.get("model") or {}).get("name") or "models"),
        answer=str(found.get("headline") or "No verdict yet"),
        lead=" ".join([str(found.get("sentence") or UNFINISHED), *meta.get("cautions", [])]),
        label=label(found.get("label")),
        record="verdict:verdict" if found else "",
        sections=_sections(records) if found else (),
        kinds=("verdict", "sweep", "closest_return", "stiffness", "interference", "price", "overshoot", "comparison",
               "scaling", "agreement", "scorer", "data", "cell"),
    )  # fmt: skip


def _sections(records: Records) -> tuple[Section, ...]:
    names = list(records["sweep"])
    return (
        curves(records, names[0]),
        *([across(records, names)] if len(names) > 1 else []),
        _return(records, names),
        _stiffness(records, names),
        *([_axes(records)] if records.get("comparison") else []),
        *([_scale(records)] if records.get("scaling") else []),
        _agreement(records, names),
        _places(records, names),
    )


def _return(records: Records, names: Sequence[str]) -> Section:
    heads = (
        "sweep", "KL when aligned", "closest KL", "examples", "of N", "within ε", "past the start", "half after"
    )  # fmt: skip
    epsilon = plain(records["closest_return"][names[0]]["tolerance"], f"closest_return:{names[0]}")
    prose = (
        Markup("Definition 3.6 asks whether little data brings the model back to its start, in distribution: ε = {} "
               "bit/token of KL(start‖θ). The closest point is the best of those that were read, after that many "
               "reversed examples, as a share of the aligning ones (N).").format(epsilon),
        "Behaviour is another question. The last two columns are about the margin: how far past the start the largest "
        "reversal goes, as a share of the gain, and how many examples undo half of the gain.",
    )  # fmt: skip
    note = whys(pair for name in names for pair in _unread(records, name))
    grid = Grid("Closest return to the start", heads, tuple(_return_row(records, name) for name in names))
    return Section("Return", prose=prose, grid=grid, note=note)


def _return_row(records: Records, name: str) -> Row:
    found, record = records["closest_return"][name], f"closest_return:{name}"
    return (
        called(records, name), num(value(found["aligned_kl"], record), unit=False),
        num(value(found["kl"], record), unit=False), plain(found["examples"], record),
        plain((found["of_alignment"] or {}).get("examples"), record), REACHED[found["reached"]],
        num(value(records["overshoot"][name]["margin"], f"overshoot:{name}"), sign=True, unit=False),
        _half(records["price"][name], f"price:{name}"),
    )  # fmt: skip


def _half(body: Body, record: str) -> Markup:
    """Examples until half of the gain is gone; `more than` the last size where it is not."""
    if body["reached"] is False:
        return Markup("more than {}").format(plain(body["read_to"], record))
    return open_ended(value(body["half_life"], record))


def _unread(records: Records, name: str) -> Iterator[tuple[str, Value]]:
    number = name.partition("-")[0]
    yield f"{number}, KL", value(records["closest_return"][name]["kl"], "")
    yield f"{number}, past the start", value(records["overshoot"][name]["margin"], "")
    if records["price"][name]["reached"] is None:
        yield f"{number}, half after", value(records["price"][name]["half_life"], "")


def _stiffness(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "S_a", "S_p", "R", "k", "c₂", "answers", "predicted", "happened")
    prose = (
        "S is how fast γ rises under the first reversed examples, in 10⁻³ bit/bit per example, for the wanted text (a) "
        "and for neutral text, which stands for pretraining text (p). R = −S_a/S_p; theorem 4.2 expects the order of "
        "k, pretraining tokens over alignment tokens.",
        "c₂ comes from tuning the start on the reversal data alone, before the sweep: below 1 it predicts that the "
        "reversal hurts the wanted text. It rests on so many effective answers.",
    )
    parts = [(f"{name.partition('-')[0]}, {part}", value(records["stiffness"][name][part], ""))
             for name in names for part in ("S_a", "S_p", "R")]  # fmt: skip
    parts += [(f"{body['sweep'].partition('-')[0]}, c₂", value(body["c2"]["c"], ""))
              for body in records.get("interference", {}).values()]  # fmt: skip
    rows = tuple(row for name in names for row in _stiff_rows(records, name))
    grid = Grid("Theorem 4.2 on this model", heads, rows)
    return Section("Stiffness and interference", prose=prose, grid=grid, note=whys(parts))


def _stiff_rows(records: Records, name: str) -> Iterator[Row]:
    body, record = records["stiffness"][name], f"stiffness:{name}"
    slopes = [open_ended(value(body[part], record), digits=2, scale=1e3) for part in ("S_a", "S_p")]
    cells = [*slopes, open_ended(value(body["R"], record), digits=2)]
    k = plain(body["k"].get("estimate"), record) if body["k"].get("estimate") is not None else "not known"
    found = {key: told for key, told in records.get("interference", {}).items() if told["sweep"] == name}
    for key, told in found.items():
        where, seed = f"interference:{key}", f", seed {told['seed']}" if len(found) > 1 else ""
        signs = (label(told[part]) for part in ("predicted", "happened"))
        yield (called(records, name) + seed, *cells, k, open_ended(value(told["c2"]["c"], where), digits=2),
               plain(told["c2"].get("effective"), where), *signs)  # fmt: skip


def _axes(records: Records) -> Section:
    heads = ("axis", "sweep", "beside", "share undone", "share undone beside", "cost to undo, ratio")
    rows = tuple(_axis_row(records, b, f"comparison:{key}") for key, b in records["comparison"].items())
    prose = (
        "Each row changes one axis, with the same items on both sides. The ratio compares how many examples undo "
        "half of the gain in margin: above 1 the sweep (“defended”) is dearer to undo than the one beside it "
        "(“undefended”). An end that is not known is “…”.",
    )
    parts = [
        (f"{b['sweep'].partition('-')[0]} beside {b['against_sweep'].partition('-')[0]}", value(b["cost_to_undo"], ""))
        for b in records["comparison"].values()
    ]
    note = whys(parts)
    return Section("What an axis changes", prose=prose, grid=Grid("One axis at a time", heads, rows), note=note)


def _axis_row(records: Records, body: Body, record: str) -> Row:
    shares = [num(value(body[name], record), unit=False) for name in ("undone", "against_undone")]
    found = value(body["cost_to_undo"], record)
    ratio = open_ended(found)
    least = "at least " if found.known and found.high is None and found.why.startswith("at least") else ""
    both = (called(records, body[name]) for name in ("sweep", "against_sweep"))
    return label(body["axis"]), *both, *shares, Markup("{}{}").format(least, ratio)


def _scale(records: Records) -> Section:
    heads = ("over", "exponent b", "a", "R²")
    rows = tuple(
        (label(b["axis"]), num(value(b["b"], f"scaling:{key}"), unit=False), plain(b.get("a"), f"scaling:{key}"),
         plain(b.get("r2"), f"scaling:{key}"))
        for key, b in records["scaling"].items()
    )  # fmt: skip
    prose = ("Examples that undo half of the gain, as a·xᵇ over the models of this run.",)
    note = whys((label(b["axis"]), value(b["b"], "")) for b in records["scaling"].values())
    return Section("Scale", prose=prose, grid=Grid("Power laws", heads, rows), note=note)


def _agreement(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "score, KL", "margin, KL", "γ, KL", "score, margin", "behaviour back, distribution not")
    rows = tuple(_agreement_row(records, name) for name in names)
    prose = (
        "Rank correlation over the tuned cells of a sweep. One close to 0 or of the other sign means that the two "
        "readings cannot stand for each other. The last column counts reversed cells whose score lies in the start's "
        "interval while their KL is clear of ε.",
    )
    parts = [(f"{name.partition('-')[0]}, {label(pair)}", value(records["agreement"][name][pair], ""))
             for name in names for pair in CORRELATED]  # fmt: skip
    grid = Grid("Rank correlations", heads, rows)
    return Section("Do behaviour and distribution agree?", prose=prose, grid=grid, note=whys(parts))


def _agreement_row(records: Records, name: str) -> Row:
    body, record = records["agreement"][name], f"agreement:{name}"
    found = (num(value(body[pair], record), unit=False) for pair in CORRELATED)
    return called(records, name), *found, counted(body["behaviours_apart"], record)


def _places(records: Records, names: Sequence[str]) -> Section:
    heads = ("its own page", "verdict", "reportable")
    rows = tuple((linked(records, name), label(records["sweep"][name].get("label")), _fine(records["sweep"][name]))
                 for name in names)  # fmt: skip
    prose = ("Every sweep is an audit with a page of its own, in this run's directory.",)
    return Section("Every sweep", prose=prose, grid=Grid("Where its page stands", heads, rows))


def _fine(body: Body) -> str:
    return "yes" if body.get("reportable") else f"no: {body.get('why')}"
