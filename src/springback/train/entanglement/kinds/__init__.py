"""Modules whose gradients are known from what they read and from the signal that comes back to what they wrote.

A module is known by what it does, measured on a probe with random parameters, whatever its class is called.
"""

from springback.train.entanglement.kinds.affine import Affine
from springback.train.entanglement.kinds.call import Call
from springback.train.entanglement.kinds.linear import Linear
from springback.train.entanglement.kinds.lookup import Lookup

Kind = Linear | Lookup | Affine


def recognise(call: Call) -> Kind | None:
    """What the module does with its own parameters, or None."""
    for kind in (Linear, Lookup, Affine):
        if (found := kind.recognised(call)) is not None:
            return found
    return None


__all__ = ["Affine", "Call", "Kind", "Linear", "Lookup", "recognise"]
