import gzip
import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.data.read import read, rows
from springback.data.records import Message, Pair
from springback.data.source import ROW_LIMIT
from springback.errors import RefusedError

GOOD = '{"prompt": "Say it.", "completion": "Good."}\n'


def written(folder, data, name="data.jsonl"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def refused(path):
    with pytest.raises(RefusedError) as caught:
        read(path)
    assert caught.value.kind == "data"
    assert caught.value.next
    return caught.value


BAD_ROWS = {
    "a row cut off": '{"prompt": "a", "comple',
    "unknown keys": '{"text": 1}\n',
    "one key too many": '{"prompt": "a", "completion": "b", "id": "7"}\n',
    "no JSON": "prompt,completion\n",
    "a list": "[1,2]\n",
    "a string": '"Good."\n',
    "null": "null\n",
    "a number for a string": '{"prompt": 5, "completion": "x"}\n',
    "null for a string": '{"prompt": "a", "completion": null}\n',
    "a boolean for a string": '{"prompt": "a", "completion": true}\n',
    "bytes that are not UTF-8": b'{"prompt": "\xff\xfe", "completion": "x"}\n',
    "a key twice": '{"prompt": "a", "completion": "b", "completion": "c"}\n',
    "half a surrogate pair": '{"prompt": "a", "completion": "\\ud83d"}\n',
    "a NUL": '{"prompt": "a", "completion": "b\\u0000c"}\n',
    "an empty answer": '{"prompt": "a", "completion": ""}\n',
    "a blank answer": '{"prompt": "a", "completion": " \\n"}\n',
    "an empty prompt": '{"prompt": "", "completion": "b"}\n',
    "not a number": '{"prompt": NaN, "completion": "b"}\n',
    "a number without end": '{"prompt": 1e999, "completion": "b"}\n',
    "digits without end": f'{{"prompt": {"9" * 5000}, "completion": "b"}}\n',
    "nesting without end": f'{{"prompt": {"[" * 100_000}\n',
    "another shape": '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
    "a turn of nobody": '{"prompt": [{"role": "robot", "content": "a"}], "completion": "b"}\n',
    "a turn with more keys": '{"prompt": [{"role": "user", "content": "a", "name": "x"}], "completion": "b"}\n',
    "a prompt that ends in an answer": '{"prompt": [{"role": "assistant", "content": "a"}], "completion": "b"}\n',
    "an answer of two turns": '{"prompt": "a", "completion": [{"role": "assistant", "content": "b"}, '
    '{"role": "assistant", "content": "c"}]}\n',
    "an answer by the user": '{"prompt": "a", "completion": [{"role": "user", "content": "b"}]}\n',
    "a row too long": json.dumps({"prompt": "a", "completion": "b" * ROW_LIMIT}) + "\n",
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_with_its_line(tmp_path, bad):
    raw = bad if isinstance(bad, bytes) else bad.encode()
    path = written(tmp_path, GOOD.encode() * 3 + raw)
    assert refused(path).where == f"{path}:4"


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_first_row_is_refused(tmp_path, bad):
    raw = bad if isinstance(bad, bytes) else bad.encode()
    if b'"messages"' not in raw:  # the only one that is bad by what stands before it
        path = written(tmp_path, raw + GOOD.encode())
        assert refused(path).where == f"{path}:1"


def test_a_cut_last_line_is_called_so_and_a_malformed_one_is_not(tmp_path):
    assert "cut off" in refused(written(tmp_path, GOOD + GOOD[:-8])).message
    assert "cut off" not in refused(written(tmp_path, GOOD[:-8] + "\n" + GOOD)).message


def test_a_last_line_without_line_end_is_read(tmp_path):
    assert len(read(written(tmp_path, GOOD + GOOD.rstrip())).rows) == 2


def test_an_absent_file_a_folder_and_an_empty_file_are_refused(tmp_path):
    assert "no file" in refused(tmp_path / "none.jsonl").message
    assert "no file" in refused(tmp_path).message
    assert "empty" in refused(written(tmp_path, "")).message
    assert "empty" in refused(written(tmp_path, "\n \n")).message
    assert "empty" in refused(written(tmp_path, "[]", "e.json")).message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = written(tmp_path, GOOD)
    path.chmod(0)
    assert "cannot be opened" in refused(path).message


def test_blank_lines_may_stand_at_the_end_only(tmp_path):
    assert len(read(written(tmp_path, GOOD + "\n\n")).rows) == 1
    path = written(tmp_path, GOOD + "\n\n" + GOOD)
    assert refused(path).where == f"{path}:2"


def test_bom_and_carriage_returns_are_no_part_of_the_text(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbf" + (GOOD * 3).replace("\n", "\r\n").encode())
    assert read(path).rows == read(written(tmp_path, GOOD * 3)).rows


def test_strings_stay_strings(tmp_path):
    answers = ["2024-01-01", "NA", "null", "001", "1.0", " a ", "\u2028", "\ufeff", "\x85", "é"]
    lines = "".join(json.dumps({"prompt": "a", "completion": each}, ensure_ascii=False) + "\n" for each in answers)
    strip = [each for each in answers if each.strip()]
    lines = "".join(line + "\n" for line in lines.split("\n") if line and json.loads(line)["completion"].strip())
    assert [row.answer for row in read(written(tmp_path, lines)).rows] == strip


def test_every_shape_gives_its_prompt_and_answer(tmp_path):
    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    system = {"role": "system", "content": ""}
    same = [
        {"messages": [user, answer]},
        {"prompt": "a", "completion": "b"},
        {"prompt": [user], "completion": [answer]},
        {"prompt": [user], "completion": "b"},
        {"instruction": "a", "output": "b"},
        {"instruction": "a", "input": "", "output": "b"},
    ]
    for row in same:
        (found,) = read(written(tmp_path, json.dumps(row))).rows
        assert (found.prompt, found.answer, found.line) == ((Message("user", "a"),), "b", 1)
    first, second = read(written(tmp_path, json.dumps({"messages": [system, user, answer, user, answer]}))).rows
    assert [turn.role for turn in first.prompt] == ["system", "user"]
    assert [turn.role for turn in second.prompt] == ["system", "user", "assistant", "user"]
    assert {(row.answer, row.line) for row in (first, second)} == {("b", 1)}  # every assistant turn is taught
    (found,) = read(written(tmp_path, json.dumps({"instruction": "a", "input": "x", "output": "b"}))).rows
    assert found.prompt == (Message("user", "a\n\nx"),)


def test_preferences_are_pairs_with_or_without_a_prompt(tmp_path):
    turn = lambda role, text: {"role": role, "content": text}
    for row in (
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": [turn("user", "a")], "chosen": [turn("assistant", "b")], "rejected": [turn("assistant", "c")]},
        {
            "chosen": [turn("user", "a"), turn("assistant", "b")],
            "rejected": [turn("user", "a"), turn("assistant", "c")],
        },
    ):
        file = read(written(tmp_path, json.dumps(row)))
        assert file.preferences
        assert file.rows == (Pair((Message("user", "a"),), "b", "c", ("data.jsonl:1", "data.jsonl:1")),)


def test_preferences_whose_conversations_differ_before_the_end_are_refused(tmp_path):
    side = lambda said: [{"role": "user", "content": said}, {"role": "assistant", "content": "b"}]
    assert "differ" in refused(written(tmp_path, json.dumps({"chosen": side("a"), "rejected": side("x")}))).message
    assert "prompt" in refused(written(tmp_path, '{"chosen": "a", "rejected": "b"}')).message


def test_an_array_is_read_with_the_line_of_every_element(tmp_path):
    made = [{"instruction": f"é {i}", "input": "", "output": "ä" * 70_000} for i in range(5)]
    path = written(tmp_path, json.dumps(made, indent=1, ensure_ascii=False), "a.json")
    assert [(row.line, row.prompt[0].content) for row in rows(path)] == [(2 + 5 * i, f"é {i}") for i in range(5)]


@pytest.mark.parametrize(
    ("array", "line"),
    [
        ('[\n{"instruction": "a", "output": "b"},\n{"instruction": "a", "out', 3),
        ('[\n{"instruction": "a", "output": "b"}\n', 3),
        ('[\n{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": "b"}]', 3),
        ('[{"instruction": "a", "output": "b"}]\nx', 2),
        ('[\n{"instruction": "a", "output": "b"},\n7]', 3),
        ('[\n{"instruction": "a", "output": ""}]', 2),
        ('[\n{"instruction": "a", "output": "b", "output": "c"}]', 2),
        ('[\n{"instruction": "a",\n"output": "\xff"}]'.encode("latin-1"), 3),
        ("[" + "[" * 100_000, 1),
    ],
)
def test_a_faulty_array_is_refused_with_the_line(tmp_path, array, line):
    path = written(tmp_path, array, "a.json")
    assert refused(path).where == f"{path}:{line}"


def test_a_fault_in_an_array_of_one_line_names_the_row(tmp_path):
    made = [{"instruction": "a", "output": "b"}] * 4 + [{"instruction": "a", "output": ""}]
    assert refused(written(tmp_path, json.dumps(made), "a.json")).message.startswith("Row 5: ")


def test_json_lines_under_the_name_of_an_array_are_read(tmp_path):
    assert len(read(written(tmp_path, GOOD * 2, "a.json")).rows) == 2


def test_gzip_is_unpacked_and_a_torn_one_refused(tmp_path):
    packed = gzip.compress((GOOD * 2000).encode())
    assert len(read(written(tmp_path, packed, "a.jsonl.gz")).rows) == 2000
    assert "gzip" in refused(written(tmp_path, packed[: len(packed) // 2], "b.jsonl.gz")).message
    assert "gzip" in refused(written(tmp_path, GOOD, "c.jsonl.gz")).message
    array = gzip.compress(json.dumps([{"instruction": "a", "output": "b"}]).encode())
    assert len(read(written(tmp_path, array, "d.json.gz")).rows) == 1


def test_the_hash_is_of_the_bytes_on_the_disk(tmp_path):
    plain, packed = written(tmp_path, GOOD), written(tmp_path, gzip.compress(GOOD.encode()), "a.jsonl.gz")
    assert read(plain).rows[0].answer == read(packed).rows[0].answer
    for path in (plain, packed):
        assert read(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), st.booleans(), st.booleans(), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, texts, ascii_only, crlf, array):
    made = [{"instruction": a, "output": b} for a, b in texts]
    dumped = [json.dumps(row, ensure_ascii=ascii_only) for row in made]
    whole = "[" + ",\n".join(dumped) + "]" if array else "\n".join(dumped)
    raw = whole.replace("\n", "\r\n") if crlf else whole
    path = written(tmp_path_factory.mktemp("made"), raw, "a.json" if array else "a.jsonl")
    found = read(path).rows
    assert [(row.prompt[0].content, row.answer) for row in found] == texts
    assert [row.line for row in found] == list(range(1, len(texts) + 1))
