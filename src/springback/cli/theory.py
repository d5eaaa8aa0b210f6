"""`springback theory`: theorem 4.2 of elasticity, computed three ways, beside Huffman's code and Hooke's law."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import page_of
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.theory import CONVENTION, Theory, TheoryConfig, run_theory


def app(
    *,
    config: Flat[TheoryConfig] = TheoryConfig(),
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Theorem 4.2 in closed form, by finite differences and by autograd, and where its signs flip.

    No model is read: the rates of pretraining, alignment and reversal data follow from a mixture of counts on a binary
    tree. Options with several values take them with commas: --k 10,100 --l 0.05,0.5.
    """
    done = run_theory(config, out)
    page = page_of(done.path)
    result = {
        "rows": done.rows, "huffman": done.huffman, "hooke": done.hooke, "convention": CONVENTION, "report": page,
    }  # fmt: skip
    return Answer(result, lines=_lines(done, page), run=done.path, warnings=done.warnings)


def _lines(done: Theory, page: str) -> list[str]:
    head = "masses   overlap         k       l   dγ_p/dl     dγ_a/dl     dγ_t/dl   c2     c3       l*  signs"
    return [
        "dγ/dl in bit per source symbol and unit of l = |D_t|/|D_a|; larger γ = worse compressed", head,
        *(_line(row) for row in done.rows), *_worst(done), page,
    ]  # fmt: skip


def _line(row: Mapping[str, Any]) -> str:
    slopes = " ".join(f"{row[f'dgamma_{name}_dl']:>11.3e}" for name in "pat")
    star = "     –" if row["l_star"] is None else f"{row['l_star']:6.3f}"
    held = "hold" if row["signs_hold"] else "do not hold"
    place = f"{row['masses']:<8} {row['overlap']:<9} {row['k']:>7g} {row['l']:>7g}"
    return f"{place} {slopes} {row['c2']:6.3f} {row['c3']:6.3f} {star}  {held}"


def _worst(done: Theory) -> list[str]:
    """The largest relative distance of the two other ways from the closed form."""
    return [
        f"{way.replace('_', ' ')}: at most {max(_off(row, way) for row in done.rows):.1e} from the closed form"
        for way in ("finite_difference", "autograd")
    ]


def _off(row: Mapping[str, Any], way: str) -> float:
    pairs = [(row[name], row[way][name]) for name in row[way]]
    return max((abs(other / exact - 1) for exact, other in pairs if exact), default=0.0)
