import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.store import document

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)  # -0.0 equals 0.0
NAMES = st.text(st.characters(exclude_characters="."))
VALUES = st.recursive(
    st.none() | st.booleans() | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=0) | st.dictionaries(NAMES, inner),
)


@given(VALUES)
def test_what_json_can_say_comes_back_equal_and_is_ascii(value):
    text = document.dumps(value, what="value")
    assert document.loads(text) == value
    assert text.isascii()


def canonical(value):
    return json.dumps(value, sort_keys=True)


@given(VALUES, VALUES)
def test_two_configurations_differ_in_no_field_if_and_only_if_they_are_equal(one, two):
    assert document.differences({"x": one}, {"x": one}) == {}
    assert bool(document.differences({"x": one}, {"x": two})) == (canonical(one) != canonical(two))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "", "{", "[" * 100_000, b"\xff"])
def test_what_is_no_strict_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        document.loads(text)


def test_a_difference_has_a_dotted_name_and_both_values():
    there = {"a": {"b": 1, "c": {"d": (1, 2)}}, "e": 1.0, "gone": 0}
    here = {"a": {"b": 1, "c": {"d": [1, 3]}}, "e": 1.0, "new": {"deep": True}}
    assert document.differences(there, here) == {
        "a.c.d": ([1, 2], [1, 3]),
        "gone": (0, None),
        "new.deep": (None, True),
    }


def test_an_option_that_was_not_set_differs_from_one_that_was_not_there():
    assert document.differences({"a": None}, {}) == {"a": (None, None)}
    assert document.differences({"a": True}, {"a": 1}) == {"a": (True, 1)}


def test_a_file_that_cannot_be_written_whole_is_not_replaced(tmp_path):
    file = tmp_path / "run.json"
    document.write(file, {"x": 1})
    with pytest.raises(ValueError, match=r"run\.json: no JSON at x"):
        document.write(file, {"x": float("nan")})
    assert json.loads(file.read_text()) == {"x": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]
