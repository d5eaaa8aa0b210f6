"""A stand-in laboratory of known law: a height that each step of learning raises by the mean reward of its answers."""

from springback.experiments.rlhf.config import Rlhf, settled
from springback.stats.measured import mean


class KilledError(Exception):
    """The process dies here."""


def design(**options):
    return settled(Rlhf(tiny=True, reward="r.py", **options))


class Climber:
    """`kept` stands for the disk: what a new process finds."""

    def __init__(self, kept=None, *, dies=None, grows=0.0, repeats=0.0, watch=None):
        self.kept = {} if kept is None else kept
        self.dies, self.grows, self.repeats, self.watch = dies, grows, repeats, watch
        self.height, self.calls = 0.0, []

    def take_up(self):
        steps, self.height = self.kept.get("latest", (0, 0.0))
        return steps

    def keep(self, steps):
        self._call("keep", steps)
        self.kept["latest"] = (steps, self.height)

    def write(self, step):
        self._call("write", step)
        return [self._answer(step, index, 1.0 + 0.1 * index) for index in range(4)]

    def learn(self, step, completions):
        self._call("learn", step)
        self.height += sum(body["reward"] for body in completions) / len(completions)
        rewards = [body["reward"] + 0.01 * step for body in completions]
        other = None if self.watch is None else mean([x * (1 + self.watch * step) for x in rewards], over="prompts",
                                                     unit="reward").json()  # fmt: skip
        plain = lambda x: mean([x, x * 1.01], over="prompts", unit="token").json()
        return {
            "step": step, "reward": mean(rewards, over="prompts", unit="reward").json(), "watch": other,
            "kl": plain(0.1 * step), "kl_k3": plain(0.1 * step), "length": plain(10 * (1 + self.grows * step)),
            "entropy": plain(1.0), "ended": plain(1.0), "repetition": self.repeats * step, "distinct": 1.0,
            "updates": 1, "tokens": 8, "beta": 0.1, "loss": [-self.height], "gradient_norm": [1.0], "clipped": [0.0],
            "ratio_mean": [1.0], "ratio_furthest": [0.0], "sampler_gap": {"mean": 0.0, "largest": 0.0},
            "excluded": {"no_reward": 0, "truncated": 0, "without_spread": 0},
            "by_answer": {"index": [0], "advantage": [0.0], "kl": [0.0]},
        }  # fmt: skip

    def read(self, when):
        self._call("read", when)
        for index in range(3):
            yield self._answer(when, index, self.height + 0.1 * index) | {"when": when, "kl": 0.1}

    def _answer(self, step, index, reward):
        return {
            "step": step, "index": index, "group": index // 2, "prompt": "p", "prompt_ids": [1], "answer": f"a {index}",
            "answer_ids": [5, 2], "ended": True, "reward": reward, "watch": None, "entropy": 1.0,
            "logprobs": [-1.0, 0.0],
        }  # fmt: skip

    def _call(self, *what):
        if self.dies == what:
            raise KilledError
        self.calls.append(what)
