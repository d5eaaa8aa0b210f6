"""Options of a method as text."""

from dataclasses import dataclass

import pytest

from springback.store.options import converted, parsed


@dataclass(frozen=True)
class Way:
    rate: float = 0.5
    steps: int = 3
    centred: bool = False
    kind: str = "plain"
    limit: float | None = None


def test_options_are_read_by_name():
    assert parsed(" rate = 1e-3 ,steps=7,") == {"rate": "1e-3", "steps": "7"}
    assert parsed("") == {}


@pytest.mark.parametrize("text", ["rate", "=3", "rate=", "rate=1,rate=2"])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(ValueError, match=r"name=value|given twice"):
        parsed(text)


def test_a_value_becomes_what_its_field_is():
    found = converted(Way, {"rate": "1", "steps": "4", "centred": "True", "kind": "x", "limit": "2"})
    assert Way(**found) == Way(1.0, 4, centred=True, kind="x", limit=2.0)
    assert isinstance(found["rate"], float)


@pytest.mark.parametrize(("given", "says"), [
    ({"rat": "1"}, "there is no option rat"), ({"rate": "much"}, "rate must be a number, got much"),
    ({"steps": "1.5"}, "steps must be a whole number, got 1.5"),
    ({"centred": "maybe"}, "centred must be true or false, got maybe"),
])  # fmt: skip
def test_a_value_that_is_none_is_refused_in_words(given, says):
    with pytest.raises(ValueError, match=says):
        converted(Way, given)
