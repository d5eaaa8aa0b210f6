"""The classic pipeline from one file of preferences: imitate the chosen answers, learn a reward, improve the policy.

Each stage is a run of its own inside this one (`sft`, `reward`, and the policy method's name), so each resumes, has a
page and can be looked at alone; what joins them is the split (`staged_files.py`) and the folders of their models. With
several rounds, reward model and policy go on taking turns (`adversary.py`): `reward-2`, `ppo-2`, …
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from springback.errors import refused
from springback.experiments.audit.run import announce
from springback.experiments.rlhf.adversary import against
from springback.experiments.rlhf.config import MOST_HELD_OUT, Design, Rlhf, settled
from springback.experiments.rlhf.outcome import MODEL
from springback.experiments.rlhf.run import PAPERS, as_audit, run_rlhf
from springback.experiments.rlhf.staged_files import Files, Split, split
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

BEFORE = ("sft", "reward")
REWARD_RATE = {False: {"full": 2e-5, "lora": 2e-4}, True: {"full": 1e-3, "lora": 1e-3}}


@dataclass(frozen=True, slots=True)
class Line:
    """Which stages there are, and the design of the last one."""

    sft: bool
    reward: bool
    design: Design
    """Its model is where the first stage begins."""
    rounds: int = 1
    """How often reward model and policy take turns."""

    @property
    def names(self) -> list[str]:
        turn = [*(["reward"] if self.reward else []), self.design.method.partition(":")[0]]
        every = [f"{name}{_suffix(number)}" for number in range(self.rounds) for name in turn]
        return [*(["sft"] if self.sft else []), *every]


def line_of(stages: tuple[str, ...], asked: Rlhf, rounds: int = 1) -> Line:
    """The stages by name, in their order, the policy method last. RefusedError where they make no pipeline."""
    *before, last = stages
    if before not in ([], ["sft"], ["reward"], ["sft", "reward"]) or last in BEFORE:
        told = "are sft, reward and a policy method, in this order; either of the first two may be left out"
        raise refused("stages", f"{told}; got {','.join(stages)}", "give --stages sft,reward,ppo")
    if "reward" in before and asked.reward is not None:
        raise refused("stages", "learn a reward, and --reward names another", "leave one of the two out")
    if asked.method not in (Rlhf().method, last) and asked.method.partition(":")[0] != last:
        raise refused("stages", f"end in {last}, and --method names {asked.method}", "name one method")
    method = asked.method if asked.method.partition(":")[0] == last else last
    if rounds < 1 or (rounds > 1 and "reward" not in before):
        raise refused("rounds", f"are turns of reward model and policy; got {rounds}", "add the stage reward")
    design = settled(replace(asked, method=method), rewarded="reward" not in before)
    return Line("sft" in before, "reward" in before, design, rounds)


def run_stages(file: Path, line: Line, out: Path | None, *, quiet: bool = False) -> Finished:
    """All stages, or what is left of them.

    Raises:
        RefusedError: as each stage does; those before it stay, and the same command goes on.
    """
    design = line.design
    asked = {"file": str(file), "stages": line.names, **asdict(design)}
    path = out or default_dir("rlhf", asked)
    require_free(path)
    announce(as_audit(design), (lambda _: None) if quiet else say)
    dealt = split(file, design.held_out, MOST_HELD_OUT[design.tiny])
    known = {"data_sha256": dealt.data.sha256}
    done = Run.finished(path, command="rlhf", asked=asked, identity=known)
    if done is not None and (path / line.names[-1] / MODEL / "config.json").is_file():
        return Finished(done, dict.fromkeys(line.names, 0))
    work = lambda run: _worked(run, line, dealt, known, quiet=quiet)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="rlhf", asked=asked, identity=known, about=about)


def _worked(run: Run, line: Line, dealt: Split, known: Mapping[str, Any], *, quiet: bool) -> Mapping[str, int]:
    design = line.design
    files = dealt.write(run.path / "files")
    run.note(
        stages=line.names,
        ledger=dealt.data.ledger.json(),
        papers=[*PAPERS, *(["cheng2024adversarial"] if line.rounds > 1 else [])],
    )
    work: dict[str, int] = {}
    start = design
    if line.sft:
        done = _sft(run, design, dealt, known)
        start = _from(design, run.path / "sft" / MODEL)
        work |= _told(run, "sft", done, quiet=quiet)
    judge, policy = start.model, design.method.partition(":")[0]
    for number in range(line.rounds):
        reward, last = f"reward{_suffix(number)}", f"{policy}{_suffix(number)}"
        if line.reward:
            done = _reward(run, reward, replace(start, model=judge), files, tiny=design.tiny, quiet=quiet)
            judge = str(run.path / reward / MODEL)
            start = replace(start, reward=judge)
            work |= _told(run, reward, done, quiet=quiet)
        asked = replace(start, held_out=dealt.held_out_prompts)
        done = run_rlhf(files.prompts, asked, run.path / last, quiet=quiet)
        work |= _told(run, last, done, quiet=quiet)
        start = _from(start, run.path / last / MODEL)
        if number + 1 < line.rounds:
            files = against(done.run, dealt, files, run.path / "files" / f"training{_suffix(number + 1)}.jsonl")
    return work


def _suffix(number: int) -> str:
    """Of the names of a round's stages: nothing for the first."""
    return f"-{number + 1}" if number else ""


def _sft(run: Run, design: Design, dealt: Split, known: Mapping[str, Any]) -> Finished:
    from springback.experiments.rlhf.imitation import run_imitation

    training, held_out = dealt.chosen()
    return run_imitation(run.path / "sft", design, training, held_out, known)


def _reward(run: Run, name: str, start: Design, files: Files, *, tiny: bool, quiet: bool) -> Finished:
    from springback.experiments.reward.config import Reward
    from springback.experiments.reward.config import settled as settled_reward
    from springback.experiments.reward.run import run_reward

    asked = Reward(
        model=start.model, held_out=str(files.held_out), tuner=start.tuner, rank=start.rank, seed=start.seed,
        dtype=start.dtype, device=start.device, trust_remote_code=start.trust_remote_code, tiny=start.tiny,
        learning_rate=REWARD_RATE[tiny][start.tuner],
    )  # fmt: skip
    return run_reward(settled_reward(asked, str(files.training)), run.path / name, quiet=quiet)


def _from(design: Design, folder: Path) -> Design:
    """The design of a later stage, which begins from a folder; the tiny model's is a folder like any other."""
    return replace(design, model=str(folder), tiny=False)


def _told(run: Run, name: str, done: Finished, *, quiet: bool) -> dict[str, int]:
    """The stage's record, once, and what it did in this call."""
    if run.get("stage", name) is None:
        run.append(
            "stage", name, {"name": name, "run": name, "model": f"{name}/{MODEL}", "found": _found(name, done.run)}
        )
    if not quiet:
        say(f"stage {name}: done")
    return {f"{name}_{key}": count for key, count in done.work_done.items()}


def _found(name: str, run: Run) -> Any:
    """What a stage says of held-out data."""
    if name == "sft" or name.startswith("reward"):
        return run.get("held_out", "held_out")
    return (run.get("result", "result") or {}).get("held_out")
