"""Layer: train. Learning from answers that the policy wrote; one file a method, no model in any of them."""

from collections.abc import Mapping
from typing import Any, Final

from springback.train.policy.dapo import DAPO
from springback.train.policy.dr_grpo import DrGRPO
from springback.train.policy.grpo import GRPO
from springback.train.policy.gspo import GSPO
from springback.train.policy.ppo import PPO
from springback.train.policy.reinforce_plus_plus import ReinforcePlusPlus, ReinforcePlusPlusBaseline
from springback.train.policy.rloo import RLOO

METHODS: Final[Mapping[str, type[Any]]] = {
    "ppo": PPO,
    "rloo": RLOO,
    "reinforce_plus_plus": ReinforcePlusPlus,
    "reinforce_plus_plus_baseline": ReinforcePlusPlusBaseline,
    "grpo": GRPO,
    "dr_grpo": DrGRPO,
    "dapo": DAPO,
    "gspo": GSPO,
}
