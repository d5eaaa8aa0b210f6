import base64
import csv
import io
import json

from springback.report.tables import embedded, table

FIGURE = table("falls", "Falls", ("arm", "estimate", "record"), [("main", -0.5, "cell:1"), ("=cmd|' /C'!A0", 1, "+x")])


def decoded(link: str) -> str:
    return base64.b64decode(link.partition("base64,")[2]).decode()


def test_the_csv_link_holds_every_row_and_negative_numbers_stay_numbers():
    rows = list(csv.reader(io.StringIO(decoded(FIGURE.csv_link()))))
    assert rows[0] == ["arm", "estimate", "record"]
    assert rows[1] == ["main", "-0.5", "cell:1"]


def test_a_text_that_a_spreadsheet_would_run_is_disarmed():
    rows = list(csv.reader(io.StringIO(FIGURE.csv())))
    assert rows[2][0].startswith("'=")
    assert rows[2][2] == "'+x"


def test_the_json_link_holds_the_same_rows():
    assert json.loads(decoded(FIGURE.json_link()))["rows"] == [["main", -0.5, "cell:1"], ["=cmd|' /C'!A0", 1, "+x"]]


def test_embedded_json_cannot_end_its_script_element_and_reads_back():
    hostile = {"a": "</script><!--<script>\u2028&amp;"}
    text = embedded(hostile)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == hostile
