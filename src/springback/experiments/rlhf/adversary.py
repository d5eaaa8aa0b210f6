"""Adversarial preference optimisation (Cheng et al., 2023): policy and reward model take turns.

After a policy stage, the reward model learns that the file's own better answer is better than what the policy writes
now, and the policy then learns from that reward model. Pairs are made from the answers that the policy stage stored,
the latest to each training prompt; no further answers are written.

Departures: 1. The paper holds the reward model to the one that human pairs made by a KL term; here those pairs stay in
its data. 2. The policy's reference is its own start in each round, so it may go further with every round.
Not guaranteed: that the game ends anywhere. A better answer is taken to be better than *every* answer of the policy's,
also where that has become the better one; then the reward model learns the file's style.
"""

from pathlib import Path

from springback.data.choices import Choice
from springback.data.records import said
from springback.experiments.rlhf.staged_files import Files, Split, write_pairs
from springback.store.run import Run


def against(policy: Run, dealt: Split, files: Files, path: Path) -> Files:
    """The training pairs of the next round, written to `path`: the file's own, and its better answers ≻ the policy's.

    An answer that is empty, or the better answer itself, makes no pair.
    """
    own = dict(enumerate(_distinct(dealt)))
    latest = {int(body["row"]): str(body["answer"]) for body in policy.read("completion").values()}
    made = [_pair(own[row], answer) for row, answer in sorted(latest.items()) if _differs(own[row], answer)]
    write_pairs(path, (*dealt.training, *made))
    return files._replace(training=path)


def _distinct(dealt: Split) -> list[Choice]:
    """The first pair of each training prompt, in the order of `prompts.jsonl`."""
    found: dict[str, Choice] = {}
    for one in dealt.training:
        found.setdefault(said(one.prompt), one)
    return list(found.values())


def _pair(one: Choice, answer: str) -> Choice:
    return Choice(one.prompt, one.chosen, answer, one.where)


def _differs(one: Choice, answer: str) -> bool:
    return bool(answer.strip()) and answer.strip() != one.chosen.strip()
