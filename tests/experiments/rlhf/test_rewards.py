"""Rewards of every kind, right and wrong."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from springback.errors import RefusedError
from springback.experiments.rlhf.rewards.checked import Reward
from springback.experiments.rlhf.rewards.choose import Terms, reward_named
from springback.experiments.rlhf.rewards.endpoint import Endpoint
from springback.models.rollout import Completion

TWO = [
    Completion("How much?", "four", (1, 2), (5, 6, 2), ended=True, about={"solution": "four"}),
    Completion("How many?", "no idea", (1, 3), (7,), ended=False),
]
TERMS = Terms(timeout=5.0, remote=False, device="cpu")


def test_numbers_of_any_kind_are_taken_and_no_number_is_no_reward():
    values = [1, True, 0.5, None, float("nan"), float("inf")]
    assert Reward("r", lambda given: values)(TWO * 3) == [1.0, 1.0, 0.5, None, None, None]


@pytest.mark.parametrize("gives", [[1.0], [1.0, 2.0, 3.0], []])
def test_another_count_is_refused_with_both_numbers(gives):
    with pytest.raises(RefusedError, match=f"gave {len(gives)} numbers for 2 completions"):
        Reward("r", lambda given: gives)(TWO)


@pytest.mark.parametrize("value", ["0.5", [1], {}])
def test_what_is_no_number_is_refused_with_its_completion(value):
    with pytest.raises(RefusedError, match="for the completion 'no idea' to 'How many"):
        Reward("r", lambda given: [1.0, value])(TWO)


def test_an_exception_is_refused_with_the_reward_s_name():
    with pytest.raises(RefusedError, match="The reward mine failed: ZeroDivisionError"):
        Reward("mine", lambda given: [1 / 0])(TWO)


def test_a_python_file_sees_everything_of_a_completion(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def reward(given):\n    return [float(c.about.get('solution') == c.text) + c.ended for c in given]\n"
    )
    assert reward_named(str(file), TERMS)(TWO) == [2.0, 0.0]


def test_a_scorer_of_texts_is_a_reward():
    better, worse = reward_named("scorer:lexicon", TERMS)([
        Completion("", "a wonderful, lovely film", (1,), (1,), ended=True),
        Completion("", "a terrible, awful film", (1,), (1,), ended=True),
    ])  # fmt: skip
    assert better > 0.5 > worse


def test_what_names_nothing_is_refused_with_what_there_is():
    with pytest.raises(RefusedError) as refused:
        reward_named("no_such_thing", TERMS)
    assert "program:COMMAND" in refused.value.next


def program(tmp_path, text):
    file = tmp_path / "rewarder.py"
    file.write_text(text)
    return f"program:{sys.executable} {file}"


def test_a_program_reads_lines_and_prints_numbers(tmp_path):
    named = program(tmp_path, (
        "import sys, json\n"
        "for line in sys.stdin:\n    one = json.loads(line)\n    print(len(one['text']) if one['ended'] else 'null')\n"
    ))  # fmt: skip
    assert reward_named(named, TERMS)(TWO) == [4.0, None]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit('cannot')", "ended with 1: cannot"),
        ("print(1)", "gave 1 numbers for 2"),
        ("print('good'); print('bad')", "gave 'good' for the completion"),
    ],
)
def test_a_program_that_does_otherwise_is_refused(tmp_path, text, told):
    with pytest.raises(RefusedError, match=told):
        reward_named(program(tmp_path, text), TERMS)(TWO)


def test_a_program_that_hangs_is_ended_with_what_it_started_and_refused(tmp_path):
    named = program(tmp_path, (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\ntime.sleep(60)\n"
    ))  # fmt: skip
    began = time.monotonic()
    with pytest.raises(RefusedError, match=r"no answer within 0\.5 s"):
        reward_named(named, Terms(timeout=0.5, remote=False, device="cpu"))(TWO)
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there_is_refused():
    with pytest.raises(RefusedError, match="cannot be started"):
        reward_named("program:/no/such/program", TERMS)(TWO)


class Server(BaseHTTPRequestHandler):
    """Answers as `way` says."""

    way = "right"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.way == "hang":
            time.sleep(1)
        if self.way == "trickle":
            self._trickle()
            return
        if self.way == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            return
        rewards = {"right": [float(c["ended"]) for c in body["completions"]], "few": [1.0]}.get(self.way)
        text = json.dumps({"rewards": rewards}) if rewards else "surely not JSON"
        self.send_response(500 if self.way == "fault" else 200)
        self.end_headers()
        self.wfile.write(text.encode())

    def _trickle(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        for _ in range(10):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)

    def log_message(self, *_):
        pass


@pytest.fixture
def served():
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/reward"
    server.shutdown()
    server.server_close()


def test_an_endpoint_is_asked_and_answers(served, monkeypatch):
    monkeypatch.setattr(Server, "way", "right")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert reward_named(served, TERMS)(TWO) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("hang", "no whole answer within 0.4 s"),
        ("trickle", "no whole answer within 0.4 s"),
        ("fault", "answered 500"),
        ("noise", "answered no JSON"),
        ("few", "gave 1 numbers for 2"),
        ("redirect", "answered 307"),
    ],
)
def test_an_endpoint_that_does_otherwise_is_refused_by_its_address(served, monkeypatch, way, told):
    monkeypatch.setattr(Server, "way", way)
    began = time.monotonic()
    with pytest.raises(RefusedError, match=told) as refused:
        reward_named(served, Terms(timeout=0.4, remote=False, device="cpu"))(TWO)
    assert served in refused.value.message
    assert time.monotonic() - began < 2


def test_an_endpoint_elsewhere_is_refused_unless_it_is_allowed():
    with pytest.raises(RefusedError, match="not on this machine") as refused:
        reward_named("http://192.0.2.1/reward", TERMS)
    assert refused.value.next == "Add --reward-remote."
    assert Endpoint("http://192.0.2.1/reward", 1.0, remote=True).remote


def test_nobody_at_home_is_refused():
    with pytest.raises(RefusedError, match="cannot be asked"):
        reward_named("http://127.0.0.1:9/reward", TERMS)(TWO)
