"""The walk over batches, steps and tokens with a stand-in whose first order is exact; resume at every record."""

import numpy as np
import pytest
from tests.experiments.entangle.linear import DPO_ASKED, Linear, drawn

from springback.experiments.audit.progress import Progress
from springback.experiments.entangle import outcome
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.finish import finish
from springback.experiments.entangle.sources import batches
from springback.experiments.entangle.walk import walk
from springback.store.run import Run

CONFIG = Entangle(tiny=True, batch=4, verify=True, verify_batches=2, shown=2, matrix=1, probes=3)
BATCHES = batches(10, CONFIG)


def diagnosed(path, lab, config=CONFIG, parts=BATCHES):
    with Run.open(path, command="entangle", asked={}, identity={}) as run:
        walk(config, parts, run, lab, Progress({}, {}, say=None))
        finish(config, run, lab.asked)
        return {kind: {key: {n: v for n, v in body.items() if n != "cost"} for key, body in run.read(kind).items()}
                for kind in run.kinds()}  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return diagnosed(tmp_path_factory.mktemp("walk") / "run", Linear(CONFIG, drawn(10)))


def test_own_part_and_rest_of_the_batch_add_up_to_what_the_batch_does(found):
    for body in found["pair"].values():
        inside, size = body["in_batch"], len(BATCHES[body["batch"]])
        for side, name in (("chosen", "chosen_change"), ("rejected", "rejected_change")):
            assert inside["own"][side] == pytest.approx(body[name] / size)
            assert inside["own"][side] + inside["rest"][side] == pytest.approx(inside["total"][side])


def test_a_pair_alone_in_its_batch_has_no_rest(tmp_path):
    config = Entangle(tiny=True, batch=1, shown=0)
    found = diagnosed(tmp_path / "run", Linear(config, drawn(5)), config, batches(5, config))
    for body in found["pair"].values():
        assert body["in_batch"]["rest"]["chosen"] == pytest.approx(0, abs=1e-9)
        assert body["in_batch"]["total"]["rejected"] == pytest.approx(body["rejected_change"])


def test_parts_by_layer_and_by_kind_sum_to_the_whole(found):
    for body in found["pair"].values():
        for part in ("layers", "kinds"):
            assert np.sum(list(body[part].values()), axis=0) == pytest.approx([body["ww"], body["ll"], body["wl"]])
    assert sum(body["share_of_wl"] for body in found["where"]["layers"]["places"].values()) == pytest.approx(1)


def test_the_steps_that_were_asked_for_are_taken_on_the_first_batches_and_measured_on_the_next(found):
    assert set(found["step"]) == {f"{number}/{rate:g}" for number in (0, 1) for rate in CONFIG.rates}
    assert [(p["index"], p["held_out"]) for p in found["step"]["1/1e-06"]["pairs"]] == [
        (4, False), (5, False), (6, False), (7, False), (8, True), (9, True)]  # fmt: skip


def test_where_first_order_is_exact_every_sign_is_predicted_and_chance_is_not(found):
    verify = found["verify"]["verify"]
    assert verify["sign_agreement"]["estimate"] == 1.0
    assert verify["rank_correlation"]["estimate"] == pytest.approx(1.0)
    row = verify["by_rate"][0]
    assert row["all"]["random"]["sign_agreement"]["estimate"] < 0.8
    assert row["batch"]["own"]["sign_agreement"]["estimate"] < 1.0
    assert row["held_out"]["own"]["sign_agreement"]["estimate"] is None


def test_a_prediction_that_fails_is_told_like_one_that_holds(tmp_path):
    lab = Linear(CONFIG, drawn(40), noise=1.0)
    config = CONFIG
    found = diagnosed(tmp_path / "run", lab, config, batches(40, config))
    assert found["verify"]["verify"]["law"]["outcome"] == "fails"
    assert "The prediction failed" in found["verdict"]["verdict"]["lead"]
    assert outcome.failed(Run.look(tmp_path / "run")) == ""


def test_a_law_that_few_pairs_can_neither_show_nor_refute_is_undecided(found):
    assert found["verify"]["verify"]["law"]["outcome"] == "undecided"
    assert found["verify"]["verify"]["law"]["point_holds"] is True


def test_the_worst_pairs_are_those_whose_chosen_answer_falls_most(found):
    ranked = sorted(found["pair"].values(), key=lambda body: body["chosen_change"])
    worst = {int(key) for key, body in found["tokens"].items() if body["side"] == "worst"}
    assert worst == {body["index"] for body in ranked[:2]}
    assert set(found["matrix"]) == {str(ranked[0]["index"])}


class Stopped(Linear):
    """Is interrupted after so many pieces of work."""

    left = 2

    def stop(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def batch(self, *given):
        self.stop()
        yield from super().batch(*given)

    def steps(self, *given):
        self.stop()
        return super().steps(*given)

    def tokens(self, *given):
        self.stop()
        return super().tokens(*given)


def test_stopped_again_and_again_it_ends_in_the_same_records_and_does_nothing_twice(found, tmp_path):
    calls, again = [], None
    while again is None:
        lab = Stopped(CONFIG, drawn(10))
        try:
            again = diagnosed(tmp_path / "run", lab)
        except KeyboardInterrupt:
            assert lab.calls
        calls += lab.calls
    assert again == found
    assert len(calls) == len(set(calls)) > 10


def test_a_reference_is_asked_once_for_each_batch_before_anything_else_and_then_forgotten(tmp_path):
    config = Entangle(reference="other", batch=4, shown=0)
    lab = Linear(config, drawn(8))
    found = diagnosed(tmp_path / "run", lab, config, batches(8, config))
    assert lab.calls[:3] == ["reference", "reference", "forget"]
    body = found["pair"]["0"]
    margin = (-20.0 + 22.0) - (-21.0 + 20.0)
    assert body["d_w"] == pytest.approx(0.1 / (1 + np.exp(0.1 * margin)))
    lab = Linear(config, drawn(8))
    diagnosed(tmp_path / "run", lab, config, batches(8, config))
    assert lab.calls == ["forget"]


def test_equal_answers_cannot_move_and_count_in_no_share(tmp_path):
    vectors = drawn(6)
    vectors[2, 1] = vectors[2, 0]

    class Same(Linear):
        def _gram(self, index):
            gram = super()._gram(index)
            if index == 2:
                object.__setattr__(gram, "prefix_tokens", 4)
                object.__setattr__(gram, "tokens", (4, 4))
            return gram

    config = Entangle(tiny=True, batch=3, shown=3)
    found = diagnosed(tmp_path / "run", Same(config, vectors), config, batches(6, config))
    assert found["pair"]["2"]["condition"] == "cannot_move"
    assert found["shares"]["shares"]["n"] == 5
    assert found["shares"]["shares"]["cannot_move"] == 1
    assert "2" not in found["tokens"]


def test_a_seed_deals_the_pairs_to_other_batches_and_none_is_lost():
    dealt = batches(10, Entangle(batch=4, seed=3))
    assert dealt != BATCHES
    assert sorted(index for batch in dealt for index in batch) == list(range(10))
    assert [len(batch) for batch in dealt] == [4, 4, 2]


def test_the_asked_loss_is_the_first_row_of_the_cures(found):
    rows = sorted(found["cure"].values(), key=lambda body: body["order"])
    assert rows[0]["name"] == DPO_ASKED.named
    assert rows[0]["chosen_falls"] == found["shares"]["shares"]["chosen_falls"]
    assert rows[1]["name"] == "dpo + pairwise normalised"
    assert rows[1]["chosen_falls"]["estimate"] == rows[1]["rejected_rises"]["estimate"] == 0
