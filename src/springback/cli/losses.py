"""`springback losses [NAME…] [--at …]`: the family of preference losses as a table and as a calculator."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.experiments import loss_point, loss_table
from springback.experiments.loss_point import Point

AtOption = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())]


def app(*names: str, at: AtOption = (), common: Common = COMMON, **options: str) -> Answer:
    """The preference losses: formula, source, needs and options of each, or their values at the numbers of a pair.

    springback losses dpop --at chosen=-12.3 rejected=-15.1 ref_chosen=-12 ref_rejected=-14.2 --penalty 5

    Args:
        names: Losses, as NAME, NAME:option=value,…, a Python file with loss(policy, reference), or module:function.
            All of them unless given.
        at: Numbers of a pair, as name=value: chosen, rejected, ref_chosen, ref_rejected (log-probabilities, nats),
            chosen_tokens, rejected_tokens; where a loss reads them also prompt, prompt_tokens, chosen_collision,
            rejected_collision, chosen_divergence, rejected_divergence, z, samples, ref_samples. Options may stand
            there too.
        options: Any option of the losses asked about: --beta 0.1, --label-smoothing 0.1, --gamma 1 …
    """
    del common
    point = loss_point.read([*loss_point.rejoined(names), *at])
    methods = loss_table.asked(point.names, _merged(options, point))
    from springback.experiments.losses import described

    losses = [described(name, method) for name, method in methods]
    if point.numbers:
        return _valued(losses, methods, point, chosen=bool(point.names))
    lines = loss_table.details(losses[0]) if len(losses) == 1 else loss_table.overview(losses)
    return Answer({"losses": losses, "numbers": dict(loss_point.NUMBERS)}, lines=list(lines))


def _merged(options: Mapping[str, str], point: Point) -> dict[str, str]:
    """Options from flags and from `--at`, by their written names with underscores."""
    found = {}
    for name, text in (*options.items(), *point.options.items()):
        key = name.lower().replace("-", "_")
        if key in found:
            raise loss_point.refused(f"{key} is given twice")
        if key in loss_point.NUMBERS:
            raise loss_point.refused(f"--{name} is a number of the pair", f"Write it behind --at: {key}={text}.")
        found[key] = text
    return found


def _valued(losses: list[dict[str, Any]], methods: list[tuple[str, Any]], point: Point, *, chosen: bool) -> Answer:
    from springback.experiments.losses import unused

    if idle := unused([method for _, method in methods], point):
        raise loss_point.refused(f"{', '.join(idle)}: none of {', '.join(name for name, _ in methods)} reads it")
    values = [_value(name, method, point, chosen=chosen) for name, method in methods]
    found = [{**loss, **value} for loss, value in zip(losses, values, strict=True)]
    alone = {key: found[0][key] for key in ("value", "d_w", "d_l")} if len(found) == 1 else {}
    given = {key: numbers[0] if len(numbers) == 1 else numbers for key, numbers in point.numbers.items()}
    return Answer({"losses": found, "at": given, **alone}, lines=list(loss_table.values(found)))


def _value(name: str, method: Any, point: Point, *, chosen: bool) -> dict[str, Any]:
    """Its value; of a loss that nobody chose and that lacks a number, what it lacks."""
    from springback.experiments.losses import evaluated, missing

    lacking = missing(method, point)
    if chosen or not lacking:
        return evaluated(name, method, point)
    return {"value": None, "d_w": None, "d_l": None, "why": f"needs {', '.join(lacking)}", "assumed": []}
