"""The quick way, tried once on the network itself: every parameter against one ordinary backward pass.

On a probe of four lines, with coefficients c of both signs, autograd's ‖Σ c_i g_i‖² of every parameter must be the
quick way's cᵀ G c. A parameter that is used where no known module is called, a module that does other things than it
did with random parameters, rows that see each other: each makes them differ, and is named.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from springback.models.readout import quiet, read, route, text_config
from springback.models.rows import Row
from springback.tensors.inner_product import inner_product
from springback.train.entanglement.kinds import Call, Kind, Linear, recognise
from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.signals import Head, lines_of, run
from springback.train.entanglement.stretches import Stretch, accurate, padded
from springback.train.entanglement.tables import Tables
from springback.train.entanglement.tape import Owners, Tape, only_gradients_of

CLOSE = {torch.bfloat16: 0.1, torch.float16: 0.05, torch.float32: 1e-3, torch.float64: 1e-6}
"""Largest difference, relative to Σ |c_i c_j| ‖g_i‖ ‖g_j‖ of the parameter."""
FLOOR = 1e-3
"""Share of the whole network's scale below which a parameter's difference is rounding (a key's bias has gradient 0)."""
COEFFICIENTS = (1.0, -0.6, 0.8, -1.3)


@dataclass(slots=True)
class Known:
    """What was found out about a network and a choice of parameters."""

    owners: Owners
    kinds: dict[str, Kind] = field(default_factory=dict)
    head: Head | None = None
    why: str | None = None
    """Why the quick way cannot be taken, naming the module or parameter; None where it can."""


_tried: WeakKeyDictionary[nn.Module, dict[frozenset[str], Known]] = WeakKeyDictionary()


def known(network: nn.Module, names: Collection[str]) -> Known:
    """Found out once for each network object and choice of parameters: a forward pass, then two with a backward."""
    found = _tried.setdefault(network, {})
    if frozenset(names) not in found:
        found[frozenset(names)] = _try(network, names)
    return found[frozenset(names)]


def _try(network: nn.Module, names: Collection[str]) -> Known:
    facts = Known(Owners.find(network, names))
    stretches = _probe(network)
    try:
        _recognise(network, facts, stretches)
        lines, everything = lines_of(network, stretches), [range(len(stretches))]
        tables = Tables(everything)
        tape = Tape(facts.owners, facts.kinds, lines, tables.take)
        run(network, tape, facts.head, everything)
        expected = _squares(network, stretches, names)
    except UnknownModuleError as unknown:
        facts.why = str(unknown)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        facts.why = f"the network cannot be heard ({type(error).__name__}: {error})"
    else:
        wrong = _wrong(tables.found, expected, CLOSE[next(network.parameters()).dtype])
        facts.why = wrong and f"{_owner(network, facts, wrong)} (its products are not autograd's)"
    return facts


def _owner(network: nn.Module, facts: Known, name: str) -> str:
    path = next(path for path, held in facts.owners.of.items() if name in held.values())
    return f"{type(network.get_submodule(path)).__name__} {path}"


def _probe(network: nn.Module) -> list[Stretch]:
    """Unequal lengths, a token that repeats, the padding token inside, an answer that is counted in part."""
    config = text_config(network)
    padding = getattr(config, "pad_token_id", None)
    strange = padding if isinstance(padding, int) and 0 <= padding < config.vocab_size else 3
    return [
        Stretch(Row((1, 2, strange, 4), (5, 6, 5, 8), 1, 0)),
        Stretch(Row((1, 2, 3), (9, 5, 6), 1, 0)),
        Stretch(Row((1, 2, 4, 3, 2), (8, strange), 1, 0)),
        Stretch(Row((4, 6, 2), (7, 3, 3, 9, 1), 1, 0), first=2),
    ]


def _recognise(network: nn.Module, facts: Known, stretches: list[Stretch]) -> None:
    """Every module that holds a counted parameter and is called, and the head."""
    output = getattr(network, "get_output_embeddings", None)
    last = output and next((path for path, module in network.named_modules() if module is output()), None)
    with _heard(network, facts, {*facts.owners.of, *([last] if last else [])}), quiet(network):
        network(**padded(network, stretches).arguments)
    kind = facts.kinds.get(last or "")
    facts.head = Head(last, kind) if last and isinstance(kind, Linear) and route(network) == "head" else None


@contextmanager
def _heard(network: nn.Module, facts: Known, paths: Collection[str]) -> Iterator[None]:
    asking: list[str] = []

    def called(path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if asking or path in facts.kinds:
            return
        asking.append(path)
        kind = recognise(Call(module, args, kwargs, out))
        asking.clear()
        if kind is not None:
            facts.kinds[path] = kind
        elif path in facts.owners.of:
            raise UnknownModuleError(f"{type(module).__name__} {path} (its gradients are not known)")

    handles = [
        network.get_submodule(path).register_forward_hook(partial(called, path), with_kwargs=True) for path in paths
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _squares(network: nn.Module, stretches: Sequence[Stretch], names: Collection[str]) -> dict[str, float]:
    """Autograd's ‖Σ c_i g_i‖² by parameter; no more than one parameter's gradient exists at a time."""
    found: dict[str, float] = {}

    def arrived(name: str, parameter: Tensor) -> None:
        assert parameter.grad is not None
        found[name] = inner_product(parameter.grad, parameter.grad)
        parameter.grad = None

    with only_gradients_of(network, names) as counted, torch.enable_grad():
        handles = [p.register_post_accumulate_grad_hook(partial(arrived, name)) for name, p in counted.items()]
        try:
            _combined(network, stretches).backward()
        finally:
            for handle in handles:
                handle.remove()
    return found


def _combined(network: nn.Module, stretches: Sequence[Stretch]) -> Tensor:
    """Σ c_i log π_i in one forward pass."""
    inputs = padded(network, stretches)
    (logits,) = read(network, inputs.arguments, inputs.wanted).logits(sum(map(len, stretches)))
    targets = torch.tensor([token for stretch in stretches for token in stretch.targets], device=logits.device)
    weights = torch.tensor([c for c, s in zip(COEFFICIENTS, stretches, strict=True) for _ in range(len(s))])
    chosen = accurate(logits).log_softmax(dim=-1).gather(-1, targets[:, None]).squeeze(-1)
    return (chosen * weights.to(chosen)).sum()


def _wrong(tables: Mapping[str, list[Tensor]], expected: Mapping[str, float], close: float) -> str | None:
    """The first parameter whose products are not autograd's, or None; rounding of the whole is no difference."""
    coefficients = torch.tensor(COEFFICIENTS, dtype=torch.float64)
    squares = {name: float(coefficients @ table @ coefficients) for name, (table,) in tables.items()}
    scales = {
        name: float((coefficients.abs() * table.diagonal().clamp_min(0).sqrt()).sum()) ** 2
        for name, (table,) in tables.items()
    }
    floor = FLOOR * (sum(scales.values()) + sum(expected.values()))
    for name in {**squares, **expected}:
        apart = abs(squares.get(name, 0.0) - expected.get(name, 0.0))
        if not apart <= close * (scales.get(name, 0.0) + floor):
            return name
    return None
