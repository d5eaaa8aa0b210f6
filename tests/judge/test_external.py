import sys

import pytest

from springback.data.records import Labelled
from springback.errors import RefusedError
from springback.judge.choose import choose

ROWS = [Labelled("good" if i % 2 else "bad", wanted=bool(i % 2), where=f"made:{i}") for i in range(20)]


def file(folder, code):
    path = folder / "mine.py"
    path.write_text(code)
    return str(path)


def chosen(named):
    return choose(named, fit=ROWS[:10], held_out=ROWS[10:])


def test_a_file_that_defines_score_is_a_scorer(tmp_path):
    named = file(tmp_path, "def score(texts):\n    return [float('good' in t) for t in texts]\n")
    scorer = chosen(named)
    assert (scorer.name, scorer.reportable, scorer.auc.estimate) == (named, True, 1.0)
    assert scorer(["so good", "so so"]) == [1.0, 0.0]
    assert abs((scorer.placebo_auc.estimate or 0) - 0.5) < 0.2


def test_a_function_of_a_module_is_a_scorer(tmp_path, monkeypatch):
    (tmp_path / "my_scores.py").write_text("def half(texts):\n    return [0.5 for t in texts]\n")
    monkeypatch.syspath_prepend(tmp_path)
    scorer = chosen("my_scores:half")
    sys.modules.pop("my_scores")
    assert not scorer.reportable
    assert scorer(["x"]) == [0.5]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def score(texts):\n    return [1.5 for t in texts]\n", "1.5"),
        ("def score(texts):\n    return [float('nan') for t in texts]\n", "nan"),
        ("def score(texts):\n    return [0.5]\n", "1 numbers for 20 texts"),
        ("def score(texts):\n    return 'high'\n", "'h'"),
        ("def score(texts):\n    return None\n", "failed: TypeError"),
        ("def score(texts):\n    raise KeyError('no')\n", "failed: KeyError"),
        ("def score(texts:\n", "SyntaxError"),
        ("import not_a_module_at_all\n", "cannot be run: ModuleNotFoundError"),
        ("def grade(texts):\n    return []\n", "defines no function score"),
        ("score = 3\n", "defines no function score"),
    ],
)
def test_a_file_that_is_no_scorer_is_refused(tmp_path, code, said):
    with pytest.raises(RefusedError) as caught:
        chosen(file(tmp_path, code))
    assert caught.value.kind == "scorer"
    assert said in caught.value.message
    assert caught.value.next


@pytest.mark.parametrize(
    "named", ["lexikon", "none.py", "no_such_module:f", "math:no_such", "math:", "a b:c", "os.path"]
)
def test_a_name_that_is_no_scorer_is_refused(named):
    with pytest.raises(RefusedError) as caught:
        chosen(named)
    assert (caught.value.kind, caught.value.where) == ("scorer", f"--score {named}")


def test_a_folder_is_no_scorer(tmp_path):
    with pytest.raises(RefusedError, match="no file"):
        chosen(str(tmp_path))
