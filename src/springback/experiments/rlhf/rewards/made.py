"""What `--tiny` rewards when nothing else is named: a rule that a random model can learn in a few steps."""

from collections.abc import Sequence

from springback.models.rollout import Completion


def reward(completions: Sequence[Completion]) -> list[float]:
    """Share of each completion's characters that are lower-case letters, in [0, 1]; 0 for an empty one."""
    return [sum("a" <= letter <= "z" for letter in one.text) / max(1, len(one.text)) for one in completions]
