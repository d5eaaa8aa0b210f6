"""An HTTP endpoint as a reward: POST {"completions": […]} and read {"rewards": […]}, or the bare list.

On this machine only (loopback), unless `--reward-remote` allows another: prompts and answers leave with the request. No
proxy is used and no redirect followed. One batch may take `timeout` seconds from the first byte to the last; an
endpoint that hangs, or trickles, is refused by name.
"""

import ipaddress
import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from springback.errors import RefusedError
from springback.experiments.rlhf.rewards.exchange import sent
from springback.models.rollout import Completion

LIMIT: Final = 16 * 2**20
"""Bytes of an answer; a longer one is refused."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that rewards."""

    url: str
    timeout: float
    """Seconds for one batch."""
    remote: bool = False
    """Whether it may be on another machine."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.refuse("is no http address")
        if not self.remote and not _here(parts.hostname):
            self.refuse("is not on this machine, and prompts and answers would leave it", "Add --reward-remote.")

    def __call__(self, completions: Sequence[Completion]) -> Any:
        """What it answered."""
        body = json.dumps({"completions": [sent(one) for one in completions]}).encode()
        found = json_of(self._within(body), self)
        rewards = found.get("rewards") if isinstance(found, dict) else found
        if not isinstance(rewards, list):
            self.refuse('answered something else than {"rewards": […]}')
        return rewards

    def refuse(self, why: str, do: str | None = None, error: BaseException | None = None) -> NoReturn:
        """RefusedError (kind `reward`) with the address."""
        raise RefusedError(
            f"The reward endpoint {self.url} {why}.", kind="reward", where=f"--reward {self.url}",
            next=do or "See that it is up and answers; --reward-timeout gives it more time.",
        ) from error  # fmt: skip

    def _within(self, body: bytes) -> bytes:
        """The whole exchange in a thread of its own: a socket's timeout alone is none for one that trickles."""
        said: list[bytes | BaseException] = []
        thread = threading.Thread(target=lambda: said.append(self._exchanged(body)), daemon=True)
        thread.start()
        thread.join(self.timeout)
        if not said:
            self.refuse(f"gave no whole answer within {self.timeout:g} s")
        if isinstance(said[0], BaseException):
            self.refuse(_told(said[0], self.timeout), error=said[0])
        if len(said[0]) > LIMIT:
            self.refuse(f"answered more than {LIMIT} bytes")
        return said[0]

    def _exchanged(self, body: bytes) -> bytes | BaseException:
        request = Request(self.url, body, {"Content-Type": "application/json", "Accept": "application/json"})  # noqa: S310, RUF100  the scheme was checked
        try:
            with _opener().open(request, timeout=self.timeout) as answer:
                return answer.read(LIMIT + 1)
        except (OSError, HTTPException, ValueError) as error:
            return error


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def json_of(answer: bytes, endpoint: Endpoint) -> Any:
    """The answer's JSON."""
    try:
        return json.loads(answer)
    except ValueError as error:
        endpoint.refuse("answered no JSON", error=error)


def _opener() -> OpenerDirector:
    return build_opener(ProxyHandler({}), _Stay())


def _told(error: BaseException, timeout: float) -> str:
    if isinstance(error, HTTPError):
        return f"answered {error.code} {error.reason}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"gave no whole answer within {timeout:g} s"
    return f"cannot be asked: {reason}"


def _here(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)
