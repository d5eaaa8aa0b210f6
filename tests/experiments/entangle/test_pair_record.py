"""A pair's record: known values by hand, and what the words mean."""

import pytest
import torch

from springback.experiments.entangle.pair_record import bodies, by_place, with_batch
from springback.experiments.entangle.places import kind_of, layer_of
from springback.train.entanglement import PairGram, Products, Weights


def gram(ww, ll, wl, *, rest=None, tokens=(4, 5), prefix=0):
    parts = {"model.layers.0.mlp.up_proj.weight": Products(ww, ll, wl)}
    return PairGram(parts=parts, rest_parts=parts if rest is None else {"w": Products(*rest)}, prefix_square=0.0,
                    prefix_tokens=prefix, tokens=tokens, logprobs=(-1.0, -2.0))  # fmt: skip


def body(pair, d_w, d_l):
    return bodies([pair], Weights(torch.tensor([d_w]).double(), torch.tensor([d_l]).double()))[0]


def test_changes_are_the_arithmetic_of_the_paper():
    """‖g_w‖² = 1, ‖g_l‖² = 4, ⟨g_w, g_l⟩ = 1.8, d_w = 2, d_l = 1: 2 − 1.8 = 0.2 and 3.6 − 4 = −0.4."""
    found = body(gram(1.0, 4.0, 1.8), 2.0, 1.0)
    assert (found["chosen_change"], found["rejected_change"]) == pytest.approx((0.2, -0.4))
    assert found["margin_change"] == pytest.approx(0.6)
    assert (found["cosine"], found["relative"], found["q"]) == pytest.approx((0.9, 1.8, 2.0))
    assert (found["band"]["low"], found["band"]["centre"], found["band"]["high"]) == pytest.approx((1.8, 2.0, 4 / 1.8))
    assert (found["band"]["at"], found["band"]["position"]) == ("inside", pytest.approx(0.0, abs=1e-12))
    assert (found["case"], found["condition"]) == ("2", "holds")


@pytest.mark.parametrize(
    ("d_w", "d_l", "condition", "at"),
    [(1.0, 1.0, "chosen_falls", "below"), (2.5, 1.0, "rejected_rises", "above"), (2.0, 1.0, "holds", "inside"),
     (0.0, 1.0, "chosen_falls", "below"), (1.0, 0.0, "rejected_rises", "undefined"),
     (-1.0, -1.0, "rejected_rises", "undefined")],
)  # fmt: skip
def test_the_condition_names_what_goes_wrong_and_the_band_where_q_lies(d_w, d_l, condition, at):
    found = body(gram(1.0, 4.0, 1.8), d_w, d_l)
    assert (found["condition"], found["band"]["at"]) == (condition, at)


def test_the_edges_of_the_band_are_minus_one_and_one():
    low, high = body(gram(1.0, 4.0, 1.8), 1.8, 1.0), body(gram(1.0, 4.0, 1.8), 4.0, 1.8)
    assert (low["band"]["position"], high["band"]["position"]) == pytest.approx((-1.0, 1.0))


def test_gradients_that_do_not_point_the_same_way_let_every_q_pass():
    found = body(gram(1.0, 4.0, -0.5), 7.0, 0.1)
    assert (found["condition"], found["band"]["at"], found["band"]["high"]) == ("holds", "inside", None)


def test_equal_answers_and_gradients_of_nothing_cannot_move():
    assert body(gram(1.0, 1.0, 1.0, tokens=(4, 4), prefix=4), 1.0, 1.0)["condition"] == "cannot_move"
    nothing = body(gram(0.0, 0.0, 0.0), 1.0, 1.0)
    assert (nothing["condition"], nothing["cosine"], nothing["relative"]) == ("cannot_move", None, None)


def test_without_the_prefix_the_rest_has_a_cosine_of_its_own():
    found = body(gram(2.0, 5.0, 2.8, rest=(1.0, 4.0, -1.0)), 1.0, 1.0)
    assert found["without_prefix"] == {"ww": 1.0, "ll": 4.0, "wl": -1.0, "cosine": pytest.approx(-0.5)}


def test_what_the_batch_does_is_the_own_part_and_the_rest():
    found = with_batch(body(gram(1.0, 4.0, 1.8), 1.0, 1.0), (0.5, -0.75), size=4)["in_batch"]
    assert found["own"] == pytest.approx({"chosen": -0.2, "rejected": -0.55})
    assert found["rest"] == pytest.approx({"chosen": 0.7, "rejected": -0.2})


def test_parts_are_summed_by_place():
    parts = {"a": Products(1.0, 2.0, 3.0), "b": Products(1.0, 1.0, 1.0), "c": Products(5.0, 5.0, 5.0)}
    pair = PairGram(
        parts=parts, rest_parts=parts, prefix_square=0.0, prefix_tokens=0, tokens=(1, 1), logprobs=(0.0, 0.0)
    )
    assert by_place(pair, {"a": "x", "b": "x", "c": "y"}) == {"x": [2.0, 3.0, 4.0], "y": [5.0, 5.0, 5.0]}


@pytest.mark.parametrize(
    ("name", "layer", "kind"),
    [("model.layers.11.self_attn.q_proj.weight", "layer 11", "q_proj"),
     ("model.layers.2.input_layernorm.weight", "layer 2", "norm"),
     ("model.embed_tokens.weight", "outside the layers", "embedding and head"),
     ("transformer.h.3.attn.c_attn.bias", "layer 3", "c_attn"),
     ("transformer.h.3.ln_1.weight", "layer 3", "norm"),
     ("lm_head.weight", "outside the layers", "embedding and head"),
     ("model.layers.0.mlp.up_proj.lora_A.default.weight", "layer 0", "up_proj lora_A")],
)  # fmt: skip
def test_a_parameter_s_name_says_its_layer_and_kind(name, layer, kind):
    assert (layer_of(name), kind_of(name)) == (layer, kind)
