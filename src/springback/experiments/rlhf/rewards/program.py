"""A program as a reward: completions as JSON lines on its standard input, a number a line on its standard output.

Started once a batch, with all that this user may do, because it was asked for by name. `null` and `nan` mean no reward.
One that takes longer than the timeout is ended, with all that it started, and refused.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from springback.errors import RefusedError
from springback.experiments.rlhf.rewards.exchange import line
from springback.models.rollout import Completion


@dataclass(frozen=True, slots=True)
class Program:
    """A command line."""

    command: str
    timeout: float
    """Seconds for one batch."""

    def __call__(self, completions: Sequence[Completion]) -> list[Any]:
        """What it printed, a value a line."""
        printed = self._run("".join(line(one) + "\n" for one in completions))
        return [_value(each) for each in printed.splitlines() if each.strip()]

    def _run(self, text: str) -> str:
        try:
            started = subprocess.Popen(
                shlex.split(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, encoding="utf-8", start_new_session=os.name == "posix",
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self._refuse(f"cannot be started: {error}", error)
        try:
            printed, told = started.communicate(text, timeout=self.timeout)
        except subprocess.TimeoutExpired as error:
            _end(started)
            self._refuse(f"gave no answer within {self.timeout:g} s", error)
        except BaseException:
            _end(started)
            raise
        if started.returncode:
            last = told.strip().splitlines()[-1:] or ["nothing on standard error"]
            self._refuse(f"ended with {started.returncode}: {last[0]:.200}")
        return printed

    def _refuse(self, why: str, error: Exception | None = None) -> NoReturn:
        raise RefusedError(
            f"The reward program {self.command} {why}.", kind="reward", where=f"--reward program:{self.command}",
            next="Let it read JSON lines and print a number for each; --reward-timeout gives it more time.",
        ) from error  # fmt: skip


def _value(printed: str) -> Any:
    try:
        return json.loads(printed)
    except ValueError:
        with suppress(ValueError):
            return float(printed)
        return printed


def _end(started: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(started.pid, signal.SIGKILL)
        else:
            started.kill()
    started.wait()
