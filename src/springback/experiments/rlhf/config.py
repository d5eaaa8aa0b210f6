"""What `springback rlhf` is asked, and what that comes to. Torch-free, so `--help` is quick."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED

Truncated = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlhf:
    """The options. What is left open comes from the defaults in brackets, or from `--tiny`."""

    model: str = EMBEDDED
    """The model to train: a directory, a hub id (`org/name@revision`) or an alias. Its start is the reference."""
    reward: str | None = None
    """FILE.py or module:function (reward(completions)), program:COMMAND, http://…, scorer:NAME, a model's folder
    (with --tiny: the share of lower-case letters)."""
    method: str = "grpo"
    """ppo, rloo, reinforce_plus_plus[_baseline], grpo, dr_grpo, dapo, gspo; with options: grpo:epsilon=0.1."""
    beta: float | None = None
    """Weight of the penalty for leaving the reference; 0: none (default: the method's)."""
    kl: str | None = None
    """Its estimator: k1, k2, k3, k3_plus or k3_ratio (default: the method's)."""
    kl_in: str | None = None
    """Where it stands: reward or loss (default: the method's)."""
    steps: int | None = None
    """Batches of answers, each learnt from before the next is written (default: 50; with --tiny 8)."""
    prompts_per_step: int | None = None
    """Prompts a step (default: 8; with --tiny 4); the file is gone round as often as it takes."""
    group: int | None = None
    """Answers to each prompt of a step (default: 8; with --tiny 4)."""
    max_new_tokens: int | None = None
    """Longest answer in tokens, the stop token included (default: 64; with --tiny 12)."""
    temperature: float = 1.0
    """At which answers are drawn; the log-probabilities that are trained on are divided by it too."""
    truncated: Truncated = "keep"
    """Answers that ran into --max-new-tokens: keep their reward, or drop them from training (counted either way)."""
    passes: int = 1
    """Times that each batch is gone over."""
    minibatches: int = 1
    """Parts that a batch is dealt into by prompt, an update each."""
    at_once: int = 16
    """Answers that go through the network together while training; memory, nothing else."""
    held_out: int | None = None
    """Prompts at the file's end that are measured, never trained on (default: a quarter, at most 32; --tiny 8)."""
    watch: str | None = None
    """An independent reward, named as --reward: it trains nothing, and the alarm listens to it."""
    learning_rate: float | None = None
    """AdamW, constant (default: 1e-5; LoRA 1e-4; with --tiny 3e-4)."""
    warmup_steps: int = 0
    """Updates of linear warm-up."""
    clip: float = 1.0
    """Largest gradient norm of an update."""
    value_rate: float = 100.0
    """Learning rate of PPO's value head, in units of the policy's."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    checkpoint_every: int = 20
    """Steps between durable states; after an interruption the steps since are done again from their stored answers."""
    reward_timeout: float = 60.0
    """Seconds that a program or an endpoint may take for one batch."""
    reward_remote: bool = False
    """Let an endpoint be on another machine: prompts and answers leave this one."""
    seed: int = 0
    """Of the order of prompts and of every answer's draws."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16, with --tiny float32."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""


DEFAULTS: dict[bool, dict[str, Any]] = {
    False: {"steps": 50, "prompts_per_step": 8, "group": 8, "max_new_tokens": 64, "learning_rate": 1e-5},
    True: {"steps": 8, "prompts_per_step": 4, "group": 4, "max_new_tokens": 12, "learning_rate": 3e-4,
           "dtype": "float32", "device": "cpu", "reward": "springback.experiments.rlhf.rewards.made:reward"},
}  # fmt: skip
"""By `--tiny`: what fills in the options left open."""
LORA_RATE = 1e-4
MOST_HELD_OUT = {False: 32, True: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The options with nothing left open but what the file decides; units as in `Rlhf`."""

    model: str
    reward: str
    method: str
    steps: int
    prompts_per_step: int
    group: int
    max_new_tokens: int
    temperature: float
    truncated: Truncated
    passes: int
    minibatches: int
    at_once: int
    held_out: int | None
    watch: str | None
    learning_rate: float
    warmup_steps: int
    clip: float
    value_rate: float
    tuner: Literal["full", "lora"]
    rank: int
    checkpoint_every: int
    reward_timeout: float
    reward_remote: bool
    seed: int
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    trust_remote_code: bool
    tiny: bool

    @property
    def batch(self) -> int:
        """Answers a step."""
        return self.prompts_per_step * self.group

    @property
    def updates(self) -> int:
        """Updates a step."""
        return self.passes * self.minibatches


def settled(asked: Rlhf, *, rewarded: bool = True) -> Design:
    """The design that the options ask for. RefusedError names the option that cannot hold.

    `rewarded`: False where a stage before will make the reward; then it is empty.
    """
    filled = {name: value for name, value in asdict(asked).items() if value is not None and value != "auto"}
    found: dict[str, Any] = {"held_out": None, "watch": None, "dtype": "auto", "device": "auto"}
    found |= DEFAULTS[asked.tiny] | filled
    if asked.learning_rate is None and asked.tuner == "lora" and not asked.tiny:
        found["learning_rate"] = LORA_RATE
    if "reward" not in found and rewarded:
        raise refused("reward", "says what is rewarded, and is missing", "give --reward FILE.py, a program, an address")
    found |= {"reward": found.get("reward", "") if rewarded else "", "method": _method(asked)}
    _bounds(found)
    design = Design(**{field.name: found[field.name] for field in fields(Design)})
    _check(design)
    return design


def _method(asked: Rlhf) -> str:
    """The method with the penalty's options behind its own."""
    given = {name: value for name in ("beta", "kl", "kl_in") if (value := getattr(asked, name)) is not None}
    name, _, options = asked.method.partition(":")
    named = {each.partition("=")[0].strip() for each in options.split(",")}
    if twice := sorted(named & given.keys()):
        raise refused(twice[0], "was given twice, beside --method and in it", "give it once")
    every = ",".join([*([options] if options else []), *(f"{key}={value}" for key, value in given.items())])
    return f"{name}:{every}" if every else name


def _bounds(found: dict[str, Any]) -> None:
    least = {"steps": 1, "prompts_per_step": 1, "group": 1, "max_new_tokens": 1, "passes": 1, "minibatches": 1,
             "at_once": 1, "held_out": 0, "rank": 1, "checkpoint_every": 1, "warmup_steps": 0}  # fmt: skip
    for name, fewest in least.items():
        if found.get(name) is not None and found[name] < fewest:
            raise refused(name, f"must be at least {fewest}, got {found[name]}")
    for name in ("temperature", "learning_rate", "clip", "reward_timeout", "value_rate"):
        if not found[name] > 0:
            raise refused(name, f"must be greater than 0, got {found[name]}")


def _check(design: Design) -> None:
    if design.minibatches > design.prompts_per_step:
        raise refused(
            "minibatches", f"are dealt by prompt, and a step has {design.prompts_per_step}", "lower --minibatches"
        )
    if design.tuner == "full" and design.rank != 8:
        raise refused("rank", "has no effect on full tuning", "add --tuner lora or leave --rank out")
    if design.tiny and design.model != EMBEDDED:
        raise refused("tiny", "is a model of its own", "leave --model or --tiny out")
