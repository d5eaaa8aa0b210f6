"""How much the parts of theorem 4.2 share: a name for a user, without arrays."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much the parts share."""

    support: Literal["disjoint", "full"] = "disjoint"
    """Whether each part has its own third of the leaves or all of them."""
    similarity: float = 0.0
    """Share s of P₂ within P₃, 0 to 1; at 1, D_t is drawn from D_a's own distribution."""

    def __post_init__(self) -> None:
        if not 0 <= self.similarity <= 1:
            raise ValueError(f"An overlap is a share from 0 to 1, got {self.similarity:g}.")

    @classmethod
    def named(cls, text: str) -> "Overlap":
        """From `disjoint`, `full`, `0.7` (disjoint, D_t 70 % D_a) or `full:0.7`. ValueError for anything else."""
        support, _, share = text.rpartition(":")
        if text in ("disjoint", "full"):
            return cls(support=text)
        if support not in ("", "disjoint", "full"):
            raise ValueError(f"An overlap is disjoint, full, a share from 0 to 1 or full:SHARE, got {text!r}.")
        try:
            return cls("full" if support == "full" else "disjoint", float(share))
        except ValueError as error:
            raise ValueError(f"An overlap is disjoint, full, a share from 0 to 1 or full:SHARE: {error}") from error

    @property
    def name(self) -> str:
        """As `named` reads it."""
        if not self.similarity:
            return self.support
        return f"{self.similarity:g}" if self.support == "disjoint" else f"full:{self.similarity:g}"
