import pytest
import torch
import transformers as T
from tests.models.tiny_networks import CONFIGS, network
from torch import nn

from springback.errors import RefusedError
from springback.models.adapters import LoRA, attach
from springback.models.stacked_adapters import stack
from springback.models.stacked_folder import save_adapter

OPTIONS = [LoRA(rank=4, alpha=alpha, seed=seed) for seed, alpha in enumerate((8.0, 6.0, 16.0))]
IDS = torch.randint(3, 97, (6, 7), generator=torch.Generator().manual_seed(3))
PARTS = {"equal": (2, 2, 2), "unequal": (1, 3, 2), "one without": (4, 0, 2), "one alone": (0, 6, 0)}
LINEAR = [name for name in CONFIGS if not name.startswith("gpt2")]
CLOSE = {torch.float64: 1e-12, torch.float32: 1e-5}


def moved(made):
    """The stack with factors that are not 0."""
    draw = torch.Generator().manual_seed(1)
    for index in range(len(made)):
        for factor in made.factors(index).values():
            factor.copy_(torch.randn(factor.shape, generator=draw) * 0.1)
    return made


def alone(name, dtype, made, index):
    """A fresh network with this adapter as PEFT puts it in."""
    built = network(name).to(dtype)
    attach(built, made.options[index])
    for key, factor in made.factors(index).items():
        built.get_parameter(key).data = factor.clone()
    return built


def slices(counts):
    starts = [sum(counts[:index]) for index in range(len(counts))]
    return [slice(start, start + count) for start, count in zip(starts, counts, strict=True)]


def backward(logits):
    (logits.double() ** 2).sum().backward()


@pytest.mark.parametrize("counts", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("dtype", CLOSE)
def test_logits_and_gradients_of_each_adapter_are_those_of_it_alone(dtype, counts):
    made = moved(stack(network("llama").to(dtype), OPTIONS))
    with made.on(counts, IDS.shape[1]) as together:
        logits = together(input_ids=IDS, use_cache=False).logits
    backward(logits)
    for index, lines in enumerate(slices(counts)):
        gradients = made.factors(index, made.sums)
        if not counts[index]:
            assert not any(gradient.any() for gradient in gradients.values())
            continue
        single = alone("llama", dtype, made, index)
        expected = single(input_ids=IDS[lines], use_cache=False).logits
        assert (logits[lines] - expected).abs().max() <= CLOSE[dtype] * expected.abs().max()
        backward(expected)
        for name, gradient in gradients.items():
            wanted = single.get_parameter(name).grad
            assert (gradient - wanted).norm() <= 10 * CLOSE[dtype] * wanted.norm(), name


@pytest.mark.parametrize("name", LINEAR)
def test_every_architecture_whose_linear_layers_peft_reaches_is_read_as_alone(name):
    made = moved(stack(network(name), OPTIONS))
    counts = PARTS["unequal"]
    with torch.no_grad(), made.on(counts, IDS.shape[1]) as together:
        logits = together(input_ids=IDS, use_cache=False).logits
    for index, lines in enumerate(slices(counts)):
        with torch.no_grad():
            expected = alone(name, torch.float32, made, index)(input_ids=IDS[lines], use_cache=False).logits
        assert (logits[lines] - expected).abs().max() < 1e-4 * expected.abs().max()


def test_in_bf16_gradients_are_as_close_to_exact_ones_as_those_of_an_adapter_alone():
    made = moved(stack(network("llama").to(torch.bfloat16), OPTIONS))
    with made.on(PARTS["equal"], IDS.shape[1]) as together:
        backward(together(input_ids=IDS, use_cache=False).logits)
    for index, lines in enumerate(slices(PARTS["equal"])):
        single, exact = (alone("llama", dtype, made, index) for dtype in (torch.bfloat16, torch.bfloat16))
        exact = exact.double()
        for built in (single, exact):
            backward(built(input_ids=IDS[lines], use_cache=False).logits)
        found = made.factors(index, made.sums)
        ours, theirs, size = (0.0, 0.0, 0.0)
        for name, gradient in found.items():
            wanted = exact.get_parameter(name).grad
            ours += (gradient - wanted).square().sum().item()
            theirs += (single.get_parameter(name).grad - wanted).square().sum().item()
            size += wanted.square().sum().item()
        assert ours**0.5 < max(1.2 * theirs**0.5, 0.02 * size**0.5)


def test_the_stack_starts_each_adapter_where_its_seed_starts_it_alone():
    made = stack(network("llama"), OPTIONS)
    for index, options in enumerate(OPTIONS):
        built = network("llama")
        names = attach(built, options)
        factors = made.factors(index)
        assert list(factors) == names
        assert all(torch.equal(factors[name], built.get_parameter(name)) for name in names)


def test_outside_of_on_and_after_removal_the_network_is_the_start_bit_for_bit():
    plain, built = network("llama"), network("llama")
    made = moved(stack(built, OPTIONS))
    with torch.no_grad():
        expected = plain(input_ids=IDS).logits
        assert torch.equal(built(input_ids=IDS).logits, expected)
        with made.alone(1):
            assert not torch.equal(built(input_ids=IDS).logits, expected)
        made.remove()
        assert torch.equal(built(input_ids=IDS).logits, expected)
    assert {type(layer) for layer in built.modules()} == {type(layer) for layer in plain.modules()}
    assert [name for name, _ in built.named_parameters()] == [name for name, _ in plain.named_parameters()]


def test_the_frozen_weights_get_no_gradient_and_keep_their_names():
    built = network("llama")
    names = [name for name, _ in built.named_parameters()]
    made = moved(stack(built, OPTIONS))
    with made.on((2, 2, 2), IDS.shape[1]):
        backward(built(input_ids=IDS).logits)
    assert [name for name, _ in built.named_parameters()] == names
    assert not any(weight.requires_grad or weight.grad is not None for weight in built.parameters())


def test_an_exception_inside_switches_the_adapters_off_again():
    made = stack(network("llama"), OPTIONS)
    with pytest.raises(KeyError), made.alone(0):
        raise KeyError
    assert made.lines.counts is None


@pytest.mark.parametrize("index", [0, 2])
def test_a_saved_adapter_loads_in_peft_and_gives_the_same_logits(tmp_path, index):
    peft = pytest.importorskip("peft")
    made = moved(stack(network("llama"), OPTIONS))
    save_adapter(made, index, tmp_path / "adapter", base="somewhere/base")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "adapter", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    loaded = peft.PeftModel.from_pretrained(network("llama"), str(tmp_path / "adapter"))
    with torch.no_grad(), made.alone(index) as ours:
        torch.testing.assert_close(loaded(input_ids=IDS).logits, ours(input_ids=IDS).logits, rtol=1e-5, atol=1e-5)
    assert loaded.peft_config["default"].base_model_name_or_path == "somewhere/base"


def test_an_adapter_is_not_saved_over_something_else(tmp_path):
    made = stack(network("llama"), OPTIONS)
    with pytest.raises(RefusedError, match="exists already"):
        save_adapter(made, 0, tmp_path)


def test_different_ranks_are_refused_before_anything_is_changed():
    built = network("llama")
    with pytest.raises(RefusedError, match="one rank"):
        stack(built, [LoRA(rank=4), LoRA(rank=8)])
    assert all(weight.requires_grad for weight in built.parameters())


def test_gpt2_whose_layers_are_conv1d_is_refused_and_left_as_it_was():
    built, plain = network("gpt2"), network("gpt2")
    with pytest.raises(RefusedError, match="Conv1D"):
        stack(built, OPTIONS)
    with torch.no_grad():
        assert torch.equal(built(input_ids=IDS).logits, plain(input_ids=IDS).logits)
    assert {type(layer) for layer in built.modules()} == {type(layer) for layer in plain.modules()}


def test_a_subclass_of_linear_such_as_a_quantised_one_is_refused():
    class Packed(nn.Linear):
        """Stands for a layer whose weight is not what it computes with."""

    built = network("llama")
    built.model.layers[0].mlp.up_proj.__class__ = Packed
    with pytest.raises(RefusedError, match="Packed"):
        stack(built, OPTIONS)


def test_a_network_that_deals_tokens_out_to_its_layers_is_refused():
    built = network("llama")
    inner = built.model.layers[1].mlp.forward
    built.model.layers[1].mlp.forward = lambda hidden: inner(hidden.flatten(0, 1)[2:]).sum() + hidden
    with pytest.raises(RefusedError, match="cannot be told"):
        stack(built, OPTIONS)
    assert not any(type(layer).__name__ == "StackedLinear" for layer in built.modules())


def test_a_network_that_mixes_the_lines_of_a_batch_is_refused():
    built = network("llama")
    inner = built.model.layers[1].mlp.forward
    built.model.layers[1].mlp.forward = lambda hidden: inner(hidden + hidden.mean(dim=0, keepdim=True))
    with pytest.raises(RefusedError, match="not apart"):
        stack(built, OPTIONS)


def test_counts_that_fit_no_adapters_are_refused():
    made = stack(network("llama"), OPTIONS)
    with pytest.raises(ValueError, match="3 adapters"), made.on((1, 2), 4):
        pass


def test_a_layer_without_bias_and_one_with_are_both_put_back():
    config = T.Qwen2Config(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    built = T.AutoModelForCausalLM.from_config(config).eval()
    before = built.model.layers[0].self_attn.q_proj.bias
    made = stack(built, OPTIONS)
    made.remove()
    assert built.model.layers[0].self_attn.q_proj.bias is before
    assert built.model.layers[0].self_attn.o_proj.bias is None
