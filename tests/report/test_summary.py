import re

from springback.report.summary import escaped, markdown
from springback.stats.measured import Measured

VALUE = Measured(0.94, 0.70, 1.25, n=48, over="pairs", unit="share of the gain").json()
HOSTILE = "a|b\n# c <img src=x onerror=alert(1)> @someone `x` [l](javascript:y) ![p](http://h/i) www.h.org\u202e"


def test_verdict_axes_and_tests_stand_in_the_summary():
    kinds = {
        "verdict": {
            "verdict": {"label": "springs_back", "headline": "It springs back.", "seeds": [0], "conditions": []}
        },
        "axis": {"token": {**VALUE, "verdict": "not shallow", "placebos": [{"name": "benign", **VALUE}]}},
        "test": {"margin/aligned": {"claim": "It moved", "statistic": VALUE, "p_adjusted": 0.0004, "outcome": "holds"}},
    }
    text = markdown(kinds, model="m", gate=["verdict springs_back"], passed=False)
    for part in ("springs back", "one seed", "0.94", "not shallow", "It moved", "0.001", "holds", "not passed"):
        assert part in text


def test_a_summary_of_nothing_says_so():
    assert "No verdict was stored" in markdown({}, model="m")


def test_hostile_text_stays_in_its_cell_and_its_line_and_wakes_nobody():
    kinds = {"axis": {HOSTILE: {"estimate": None, "why": HOSTILE, "verdict": HOSTILE, "placebos": []}}}
    text = markdown(kinds, model=HOSTILE)
    (row,) = [line for line in text.splitlines() if line.startswith("| a")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert not re.search(r"<(?!/?(details|summary)>)", text)
    assert not re.search(r"@\w|(?<!\\)`|(?<!\\)\[|(?<!\\)!|www\.h", text)
    assert "\u202e" not in text


def test_plain_words_stay_as_they_are():
    assert escaped("The model holds, n = 8 (1 step).") == r"The model holds, n = 8 \(1 step\)."
