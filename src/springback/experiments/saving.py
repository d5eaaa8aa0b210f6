"""When work is made durable by time: a kill loses about so many seconds of it, and saving costs little. Torch-free.

Due as soon as the work since the last save has taken `seconds`; where a save takes long, after nine times as long as
the last one took, so that saving takes at most a tenth of the time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

TIMES: Final = 9.0
"""Work between two saves, in durations of the last save, at least."""


@dataclass(slots=True)
class Due:
    """A clock that runs while there is work."""

    seconds: float
    """Of work at most between two saves, while one takes less than a ninth of that."""
    clock: Callable[[], float] = time.monotonic
    unsaved: float = 0.0
    """Seconds of work that a kill would lose."""
    took: float = 0.0
    """Seconds of the last save."""

    @property
    def now(self) -> bool:
        """Whether what is unsaved is worth a save."""
        return self.unsaved >= max(self.seconds, TIMES * self.took)

    @contextmanager
    def work(self) -> Iterator[None]:
        """What the body takes is unsaved work."""
        began = self.clock()
        yield
        self.unsaved += self.clock() - began

    @contextmanager
    def saving(self) -> Iterator[None]:
        """The body makes everything durable."""
        began = self.clock()
        yield
        self.took, self.unsaved = self.clock() - began, 0.0
