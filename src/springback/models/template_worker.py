"""The process in which chat templates run. They are programs that strangers wrote: they get no more than this.

Reads one JSON object a line (`template`, `messages`, `variables`, `limit`), answers one a line: `text`, or `error` and
`message`. The environment is that of transformers 5 (`utils/chat_template_utils.py`) with two departures: the clock
stands still, so that a run can be repeated, and rendering stops at `limit` characters. Started by `templates.py`.
"""

import json
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NoReturn

import jinja2.ext
from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MEMORY: Final = 1 << 29
"""Bytes of address space."""
SECONDS: Final = 20.0
"""That one rendering may take here; the asking process is less patient."""
TODAY: Final = datetime(2024, 7, 26)  # noqa: DTZ001  a template formats it without a zone
"""The date that templates are told: Llama 3's own fallback."""


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks an assistant's text for training frameworks; here it only has to be understood."""

    tags = {"generation"}  # noqa: RUF012  jinja declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainNamespace(Namespace):
    """A namespace without underscore names: no way into the interpreter."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a template may not store {name!r}")
        super().__setitem__(name, value)


def raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def tojson(value: Any, **options: Any) -> str:
    """Unlike jinja's own, this one does not escape HTML."""
    return json.dumps(value, **{"ensure_ascii": False, **options})


@lru_cache(maxsize=16)
def compiled(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals.update(raise_exception=raise_exception, strftime_now=TODAY.strftime, namespace=PlainNamespace)
    return environment.from_string(template)


def render(template: str, messages: list[Any], variables: dict[str, Any], limit: int) -> dict[str, str]:
    pieces, length = [], 0
    for piece in compiled(template).generate(messages=messages, **variables):
        length += len(piece)
        if length > limit:
            return {"error": "too_long", "message": f"it writes more than {limit:,} characters"}
        pieces.append(piece)
    return {"text": "".join(pieces)}


def answer(line: str) -> dict[str, str]:
    try:
        return render(**json.loads(line))
    except TemplateError as error:
        return {"error": "raised", "message": f"it raised: {error.message or type(error).__name__}"}
    except MemoryError:
        return {"error": "memory", "message": f"it needs more than {MEMORY >> 20} MiB of memory"}
    except Exception as error:  # whatever a template does is an answer, not a crash
        return {"error": "failed", "message": f"it fails: {type(error).__name__}: {str(error)[:300]}"}


def hold_memory() -> None:
    """Refuse ourselves more memory than any honest template needs, where the system can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # Windows, macOS: time and length still bound it
        pass


def die_in(seconds: float) -> None:
    """End this process when a rendering takes longer, even if nobody is left to end it; 0 takes it back."""
    try:
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds)
    except (ImportError, AttributeError, ValueError):  # Windows: the asking process ends it
        pass


def main() -> None:
    hold_memory()
    for line in sys.stdin:
        die_in(SECONDS)
        sys.stdout.write(json.dumps(answer(line)) + "\n")
        sys.stdout.flush()
        die_in(0)


if __name__ == "__main__":
    main()
