"""Every way of tuning in an audit: nested, resumed, rewarded on the right side, refused with a reason."""

import json
from itertools import pairwise

import pytest
from tests.experiments.audit.small import records, tiny

from springback.cli.main import app
from springback.errors import RefusedError
from springback.experiments.audit.estimate import estimate
from springback.experiments.audit.grid import grid
from springback.experiments.audit.laboratory import ModelLaboratory
from springback.experiments.audit.ranks import Conductor
from springback.experiments.audit.run import run_audit
from springback.experiments.audit.sources import gather
from springback.experiments.audit.ways import asked, chain_seed, judge, told, ways_of
from springback.judge.scorer import absent, judged
from springback.models.rollout import Completion
from springback.parallel.group import Group
from springback.parallel.world import World

SMALL = {"samples": 4, "pairs": 4, "neutral": 2, "arms": "core", "layers": "none", "forced_tokens": (0,)}
WORDS = ["--samples", "4", "--pairs", "4", "--neutral", "2", "--arms", "core", "--layers", "none",
         "--forced-tokens", "0", "--max-new-tokens", "8"]  # fmt: skip
WAYS = {"align_with": "kto", "reverse_with": "grpo:group=2"}
SCORER = """
def score(texts):
    good, bad = ("good joy nice better lovely worth bright".split(), "poor bad waste dull worse dreadful dim".split())
    words = [sum(each in text for each in good) - sum(each in text for each in bad) for text in texts]
    vowels = [sum(letter in "aeiou" for letter in text) / max(len(text), 1) for text in texts]
    return [min(max(0.4 + 0.3 * word + 0.3 * share, 0), 1) for word, share in zip(words, vowels)]
"""
"""Knows the words of the made sentences, and likes vowels: what a random model writes differs in them."""


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    path = tmp_path_factory.mktemp("nested")
    (path / "score.py").write_text(SCORER)
    said = ["audit", "--tiny", *WORDS, "--align-with", "kto", "--reverse-with", "grpo:group=2"]
    said += ["--score", str(path / "score.py"), "--out", str(path / "run"), "--quiet", "--json"]
    return path / "run", said, app(said)


def asking(nested, **more):
    return tiny(**SMALL, **WAYS, score=str(nested[0].parent / "score.py"), **more)


def cells(path):
    return {key: body for (kind, key), body in records(path).items() if kind == "cell"}


def readings(cell):
    return {name: value for name, value in cell.items() if name not in ("align", "reverse")}


def test_one_size_alone_is_its_row_in_the_nested_run(nested, tmp_path):
    run_audit(asking(nested, align_sizes=(8,), reverse_sizes=(4,)), tmp_path / "run", quiet=True).run.close()
    alone, together = cells(tmp_path / "run"), cells(nested[0])
    for key in ("0/main/0/0", "0/main/8/0", "0/main/8/4"):
        assert readings(alone[key]) == readings(together[key])
    kl = [together[f"0/main/{point}"]["kl_from_start"]["estimate"] for point in ("8/0", "8/4")]
    assert kl[0] > 1e-3
    assert abs(kl[1] - kl[0]) > 1e-3


def test_interrupted_within_chains_it_ends_in_the_same_records(nested, tmp_path, monkeypatch):
    """Ended at each of three moments: in the aligning chain, in the reversing one, in the placebo's."""
    config, tune = asking(nested), ModelLaboratory.tune
    for after in (3, 3, 5):
        left = [after]

        def dying(self, part, first, last, left=left):
            for step in tune(self, part, first, last):
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
                yield step

        monkeypatch.setattr(ModelLaboratory, "tune", dying)
        with pytest.raises(KeyboardInterrupt):
            run_audit(config, tmp_path / "run", quiet=True)
    monkeypatch.setattr(ModelLaboratory, "tune", tune)
    run_audit(config, tmp_path / "run", quiet=True).run.close()
    assert records(tmp_path / "run") == records(nested[0])


def test_the_result_and_the_page_say_that_the_reward_is_also_the_judge(nested, capsys):
    path, said, code = nested
    app(said)
    found = json.loads(capsys.readouterr().out)
    assert found["status"] in ("done", "not_reportable")
    assert found["result"]["work_done"]["cells"] == 0
    warning = "--reverse-with grpo:group=2: the scorer that also judges behaviour rewards the answers"
    assert any(warning in each for each in found["warnings"])
    page = (path / "report.html").read_text("utf-8")
    assert warning in page
    assert "aligned with kto, reversed with grpo:group=2" in page
    assert code in (0, 3)


def test_tokens_of_a_reversal_that_wrote_its_answers_are_not_those_of_the_data(nested):
    cell = cells(nested[0])["0/main/8/4"]
    assert cell["reverse"] == {"examples": 4, "tokens": None, "steps": 1}
    assert cell["align"]["tokens"] > 8
    wrote = cell["written"]
    assert (wrote["prompts"], wrote["answers"], wrote["unrewarded"]) == (4, 8, 0)
    assert 8 <= wrote["tokens"] <= 8 * 8
    assert wrote["silent"] < 4
    assert cells(nested[0])["0/main/8/0"]["written"] is None


def completions(*texts):
    return [Completion("", text, (1,), (2,), ended=True) for text in texts]


def test_a_row_is_rewarded_for_what_it_teaches():
    praise = judged("praise", lambda texts: [0.9 if "good" in text else 0.2 for text in texts], ())
    rewards = judge(praise)(completions("good", "good", "poor", "poor"), [True, False, True, False])
    assert rewards == pytest.approx([0.9, 0.1, 0.2, 0.8])


def test_placebos_and_mixes_hold_rows_of_both_sides():
    (sets,) = gather(tiny(align_mix=25)).sets.values()
    sides = {part: [row.wanted for row in asked(getattr(sets, part), part)] for part in PARTS}
    assert sides["reverse"] == [False] * 8
    assert sides["align"].count(False) == 4
    for part in ("benign", "continuation"):
        assert all(one != other for one, other in pairwise(sides[part]))


PARTS = ("align", "reverse", "benign", "continuation")


def test_a_row_of_other_data_belongs_to_the_side_that_its_part_teaches():
    from springback.data.records import Example, Message

    row = Example((Message("user", "Say one."),), "One.", 1)
    assert [asked([row], part)[0].wanted for part in PARTS] == [True, False, True, False]
    assert asked([row], "align")[0].turns == ({"role": "user", "content": "Say one."},)


def test_parts_and_seeds_draw_differently():
    seeds = {chain_seed(seed, part) for seed in range(3) for part in PARTS}
    assert len(seeds) == 12


def test_a_reward_of_the_user_s_is_turned_round_by_its_sign(tmp_path):
    path = tmp_path / "longer.py"
    path.write_text("def reward(completions):\n    return [len(one.text) or None for one in completions]\n")
    config = tiny(align_with=f"rloo:reward={path}")
    mine = ways_of(config).aligning.judge
    assert mine(completions("four", "four", ""), [True, False, True]) == [4.0, -4.0, None]
    assert told(config) == []


@pytest.mark.parametrize(
    ("options", "says", "where"),
    [
        ({"align_with": "orpo_with_prompt"}, "the prompt's own tokens", "--align-with"),
        ({"reverse_with": "tr_dpo", "tuner": "lora"}, "no second set of weights", "--tuner"),
        ({"align_with": "grpo:reward=nowhere.py"}, "no file nowhere.py", "--align-with nowhere.py"),
        ({"reverse_with": "grpo:group=1"}, "compared", "--reverse-with"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(options, says, where, tmp_path):
    with pytest.raises(RefusedError, match=says) as caught:
        run_audit(tiny(**SMALL, **options), tmp_path / "run", quiet=True)
    assert caught.value.where == where
    assert not (tmp_path / "run").exists()


def test_a_scorer_that_cannot_tell_rewards_nothing():
    with pytest.raises(RefusedError, match="cannot tell wanted from opposite: too few rows"):
        ways_of(tiny(align_with="ppo"), absent("none", "too few rows"))
    assert ways_of(tiny(align_with="kto"), absent("none", "too few rows")).aligning.paired


@pytest.mark.parametrize(
    ("named", "why"),
    [("kto", "compares the rows of a whole batch"), ("aot", "compares the rows of a whole batch"),
     ("beta_dpo", "keeps statistics of whole batches"), ("grpo", "draws answers"), ("d2o", "draws answers")],
)  # fmt: skip
def test_batches_that_cannot_be_split_are_refused_in_several_processes(named, why):
    conductor = Conductor(Group(World(2, 0, 0, 2)))
    config = tiny(reverse_with=named)
    expected = estimate(config, grid(config), gather(config))
    with pytest.raises(RefusedError, match=f"--reverse-with {named} {why}"):
        conductor.require(config, expected)
    conductor.require(tiny(reverse_with="dpo"), expected)


def test_what_a_way_adds_to_the_memory_is_in_the_estimate():
    found = {}
    for named in ("plain", "simpo", "kto", "grpo:group=6", "grpo:group=6,beta=0"):
        config = tiny(reverse_with=named)
        found[named] = estimate(config, grid(config), gather(config)).memory
    plain = found["plain"]
    assert [found[n].activations // plain.activations for n in found] == [1, 2, 2, 6, 6]
    assert [found[n].start_copy - plain.start_copy for n in found] == [0, 0, plain.weights, plain.weights, 0]
