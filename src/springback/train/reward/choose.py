"""A reward loss by its name: `bradley_terry`, `plackett_luce:top=2`, `margin:scale=0.5,centring=0.01`."""

from dataclasses import fields

from springback.errors import RefusedError
from springback.train.reward import LOSSES
from springback.train.reward.centred import Centred, Loss

CENTRING = "centring"


def loss_named(text: str) -> Loss:
    """The loss with its options. `RefusedError` names what is not known, and what is."""
    name, _, rest = text.partition(":")
    kind = LOSSES.get(name.strip().lower().replace("-", "_"))
    if kind is None:
        raise _refused(f"There is no reward loss {name.strip()!r}.", f"The losses are {', '.join(LOSSES)}.")
    given = dict(_option(part, text) for part in rest.split(",") if part.strip())
    centring = given.pop(CENTRING, None)
    kinds = {field.name: type(field.default) for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    if unknown := given.keys() - kinds.keys():
        raise _refused(f"{name} has no option {min(unknown)!r}.", f"Its options are {', '.join([*kinds, CENTRING])}.")
    try:
        made = kind(**{option: kinds[option](value) for option, value in given.items()})
        return Centred(made, float(centring)) if centring is not None else made
    except ValueError as error:
        raise _refused(f"--loss {text}: {error}.", "Give each option a number that it takes.") from error


def _option(part: str, text: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise _refused(f"--loss {text}: {part.strip()!r} is not option=number.", "Write NAME:option=number,…")
    return name.strip(), value.strip()


def _refused(message: str, do: str) -> RefusedError:
    return RefusedError(message, kind="option", where="--loss", next=do)
