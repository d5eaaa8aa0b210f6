"""Which parameters count."""

from collections.abc import Collection

from torch import nn

from springback.models.adapters import trainable


def counted(network: nn.Module, parameters: Collection[str] | None) -> list[str]:
    """Names of the parameters whose gradients count, each tensor once, in the network's order.

    Those that require a gradient where none are named. `ValueError` where there is none, or a name is not known.
    """
    if parameters is None:
        if names := trainable(network):
            return names
        raise ValueError(
            "No parameter requires a gradient: network.requires_grad_(True), or name them in `parameters`."
        )
    names = [name for name, _ in network.named_parameters() if name in set(parameters)]
    if unknown := sorted(set(parameters) - set(names)) or not names:
        raise ValueError(f"No such parameter (a tied tensor goes by its first name): {unknown}.")
    return names
