"""The warning that everybody asks about: held-out chosen answers have become less likely. Torch-free.

It is given at the first reading at which the mean log-probability of the held-out chosen answers lies below the
reference's by more than its interval over answers: the whole interval is below 0.
"""

from collections.abc import Mapping
from typing import Any

from springback.stats.measured import Measured

NAME = "held_out_chosen_falls"


def fall(reading: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of a `warning` record, or None where there is nothing to warn of."""
    change = Measured.of(reading["chosen"]["change"])
    if reading["set"] != "held_out" or change.high is None or change.high >= 0:
        return None
    return {
        "name": NAME, "step": reading["step"], "change": reading["chosen"]["change"], "margin": reading["margin"],
        "sentence": f"Held-out chosen answers are less likely than under the reference from step {reading['step']} on: "
        f"{change.estimate:+.3f} nat [{change.low:+.3f}, {change.high:+.3f}] over {change.n} answers.",
    }  # fmt: skip
