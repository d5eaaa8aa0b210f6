"""What is asked of a compression, and the policy that it comes to. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LONGEST = 8_192
"""Longest window, in tokens, that is taken without being asked for: attention grows with its square."""


@dataclass(frozen=True, slots=True)
class CompressConfig:
    """What is scored, and how it is cut into windows."""

    read: Literal["text", "answers"] = "text"
    """text: each file whole. answers: JSON rows, each answer given its prompt through the chat template."""
    bos: str = "auto"
    """Token before each text: auto (the tokenizer's beginning of text, else its end of text), none, or a token."""
    eos: Literal["auto", "count", "leave"] = "auto"
    """Whether the end costs bits: count, leave, or auto (texts leave it, answers count their stop token)."""
    window: int | None = None
    """Tokens a window holds as input (default: the model's context, 8,192 where that is longer or not stated)."""
    stride: int | None = None
    """Tokens a window moves on by; each scored one has window − stride of context (default: half of the window)."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is made beside the rates."""

    out: Path | None = None
    """Archive to write, NAME.sbz: the one file, coded by the model; `springback decompress` gives it back."""
    verify: bool = False
    """Code each file with a real arithmetic coder, decode it, and compare text and length."""
    blocks: int | None = None
    """Independent blocks that are coded as one batch, for --out and --verify (default: tokens / 512, at most 32)."""
    token_bits: Path | None = None
    """Write the bits of every token, NAME.safetensors or NAME.parquet."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Every choice that changes γ."""

    bos: str | None
    """The token before each text, not scored itself. None: the first token is coded with log₂|V| bits; of answers, the
    template writes the beginning."""
    eos: str | None
    """The token that is coded at the end; None: the end is not coded, its place is taken as known."""
    window: int
    stride: int
