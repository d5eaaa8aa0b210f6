"""Chat templates: which one a tokenizer brings, and rendering it in a process of its own, bounded in every way."""

import atexit
import hashlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from springback.errors import RefusedError

TEMPLATE_LIMIT: Final = 200_000
"""Characters of a template's source; the longest in use have a tenth of that."""
OUTPUT_LIMIT: Final = 4_000_000
"""Characters that one conversation may become."""
SECONDS: Final = 10.0
"""That one rendering may take, the start of the process included."""

PLAIN: Final = (
    "{{ bos_token if plain_bos else '' }}{% for message in messages %}{% if message.content %}{{ message.content }}"
    "{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endif %}{% endfor %}"
)
"""For models without a template of their own (pretrained ones): every turn on a line, the end-of-text token after an
answer, no role names; the beginning-of-text token where the tokenizer itself writes one. Empty turns leave nothing."""


class TemplateFailedError(ValueError):
    """The template itself raised: it does not take this conversation."""


def template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The tokenizer's chat template, of several the one named `default`; None where it has none."""
    found = tokenizer.chat_template
    if isinstance(found, dict):
        found = found.get("default")
    if found is not None and len(found) > TEMPLATE_LIMIT:
        raise refused(f"it is {len(found):,} characters long, at most {TEMPLATE_LIMIT:,} are taken")
    return found


def bytes_sha256(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes."""
    return bytes_sha256(text.encode())


def variables_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What a template sees beside the messages: the special tokens, no tools, and no reasoning block.

    Without `enable_thinking = False` some templates open a reasoning block in a finished answer that they do not open
    in the prompt: the prompt would not be a beginning of the whole.
    """
    names = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    first = tokenizer("")["input_ids"][:1]
    return {
        **names,
        "tools": None,
        "documents": None,
        "enable_thinking": False,
        "plain_bos": bool(first) and first == [tokenizer.bos_token_id],
    }


def render(
    template: str,
    messages: Sequence[Mapping[str, str]],
    variables: Mapping[str, Any],
    *,
    add_generation_prompt: bool = False,
) -> str:
    """The conversation as text.

    Raises:
        TemplateFailedError: the template raised (it may not take a system turn, or two turns of one role).
        RefusedError: it does not end, writes without end, or takes too much memory.
    """
    asked = {
        "template": template,
        "messages": [dict(message) for message in messages],
        "limit": OUTPUT_LIMIT,
        "variables": {**variables, "add_generation_prompt": add_generation_prompt},
    }
    answer = _worker().ask(asked)
    if "text" in answer:
        return answer["text"]
    if answer["error"] in ("raised", "failed"):
        raise TemplateFailedError(answer["message"])
    raise refused(answer["message"])


def refused(why: str) -> RefusedError:
    """A chat template that cannot be used."""
    return RefusedError(
        f"The model's chat template cannot be used: {why}.",
        kind="template",
        where="chat_template",
        next="Repair the template in the model's folder (chat_template.jinja or tokenizer_config.json).",
    )


class Worker:
    """One process that renders for all models of this one; it is started when needed and killed when it hangs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def ask(self, asked: Mapping[str, Any], *, seconds: float = SECONDS) -> dict[str, str]:
        """Its answer, or an error after `seconds`."""
        with self._lock:
            try:
                stdin = self._running().stdin
                assert stdin is not None
                stdin.write(json.dumps(asked) + "\n")
                stdin.flush()
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                self.close()
                return {"error": "time", "message": f"it had not ended after {seconds:g} seconds"}
            except OSError:
                line = ""
            if not line:
                self.close()
                return {"error": "died", "message": "the process that rendered it died"}
            return json.loads(line)

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):
                self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "springback.models.template_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            self._lines = queue.Queue()
            threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True).start()
        return self._process


def _listen(process: subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


@cache
def _worker() -> Worker:
    worker = Worker()
    atexit.register(worker.close)
    return worker
