"""Holm's correction for several tests stated together (Holm 1979): as safe as Bonferroni, never weaker."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p in the order given: compare each with α as it stands.

    None is a test that was stated but not measured: it stays None and still counts among the tests.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    worst, left = 0.0, len(p_values)
    for p, place in sorted((p, i) for i, p in enumerate(p_values) if p is not None):
        worst = max(worst, min(1.0, left * p))
        adjusted[place], left = worst, left - 1
    return adjusted
