"""What happened to both log-probabilities, in one sentence: from the last reading of the held-out rows. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.audit.wording import number
from springback.stats.measured import Measured


def verdict(reading: Mapping[str, Any]) -> dict[str, str]:
    """The body of the `verdict` record: `chosen_falls`, `chosen_rises` or `chosen_holds`, and the sentence."""
    chosen = Measured.of(reading["chosen"]["change"])
    falls, rises = chosen.high is not None and chosen.high < 0, chosen.low is not None and chosen.low > 0
    label = "chosen_falls" if falls else "chosen_rises" if rises else "chosen_holds"
    return {"label": label, "sentence": sentence(reading)}


def sentence(reading: Mapping[str, Any]) -> str:
    """Chosen answers fell by …, rejected ones by …; the margin grew by …"""
    chosen, rejected = (_moved(Measured.of(reading[name]["change"])) for name in ("chosen", "rejected"))
    margin = Measured.of(reading["margin"])
    last = f"; the margin {_grew(margin)}" if margin.measured else ""
    return f"Held-out chosen answers {chosen}, rejected ones {rejected}{last}."


def _moved(change: Measured) -> str:
    if change.estimate is None:
        return "were not measured"
    if not change.excludes(0.0):
        return f"did not measurably move ({number(change.estimate, 3, signed=True)} nat)"
    return f"{'rose' if change.estimate > 0 else 'fell'} by {abs(change.estimate):.3f} nat"


def _grew(margin: Measured) -> str:
    assert margin.estimate is not None
    if not margin.excludes(0.0):
        return f"did not measurably change ({number(margin.estimate, 3, signed=True)} nat)"
    return f"{'grew' if margin.estimate > 0 else 'shrank'} by {abs(margin.estimate):.3f} nat"
