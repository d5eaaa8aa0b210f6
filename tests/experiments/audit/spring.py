"""A stand-in of known law: weights are one number, tuning moves it, an interruption loses what was not kept."""

from collections.abc import Iterable, Iterator

from springback.experiments.audit.audit import Record
from springback.experiments.audit.grid import Part, Point

PULL = {"align": 1.0, "reverse": -2.0, "benign": 0.25, "continuation": -0.5}


class Killed(BaseException):
    """The process dies here."""


class Spring:
    """A `Laboratory`. `lives` is how many units of work it does before it is killed; kept weights survive in `disk`."""

    def __init__(self, disk: dict[Point | None, float] | None = None, lives: int = 10**9) -> None:
        self.disk = {None: 0.0} if disk is None else disk
        self.lives = lives
        self.weight = 0.0
        self.settled = False
        self.tuned: list[tuple[Part, int, int]] = []
        self.measured: list[str] = []

    def begin(self, origin: Point | None, seed: int) -> None:
        self.weight = self.disk[origin]
        self.settled = False

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        assert not self.settled, "trained on after its optimiser state was let go"
        for _ in range(first, last):
            self._live()
            self.weight += PULL[part]
            yield None
        self.tuned.append((part, first, last))

    def settle(self) -> None:
        self.settled = True

    def keep(self, point: Point) -> None:
        self._live()
        self.disk[point] = self.weight

    def kept(self, point: Point) -> bool:
        return point in self.disk

    def read(self, point: Point) -> Iterable[Record]:
        self._live()
        yield "sample", f"{point.id}/0", {"cell": point.id, "weight": self.weight}
        self._live()
        yield "cell", point.id, {"id": point.id, "weight": self.weight}
        self.measured.append(point.id)

    def extras(self, point: Point) -> Iterable[str]:
        return ["prefill"] if point.arm == "main" and point.phase == "aligned" else []

    def read_extra(self, name: str, point: Point) -> Iterable[Record]:
        self._live()
        yield name, f"{point.id}/0", {"model": point.id, "weight": self.weight}

    def _live(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed
