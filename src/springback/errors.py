"""What a user is told when a request cannot be met."""


class RefusedError(ValueError):
    """Wrong usage or input, found before anything was written: exit code 2, no traceback.

    `kind` is one short word for scripts (`data`, `model`, `option`, `memory`, `disk`, `run`, `network`, …);
    `where` names the file and line, the option or the URL; `next` is what the user can do about it.
    """

    def __init__(self, message: str, *, kind: str, next: str, where: str | None = None) -> None:
        super().__init__(message)
        self.message, self.kind, self.next, self.where = message, kind, next, where


class StoppedError(RefusedError):
    """The same, found on the way: exit code 1; what is stored stays, and the same command goes on from there."""


class InterruptedRunError(Exception):
    """The user stopped the run; what is stored stays, and the same command goes on: exit code 130."""


def refused(name: str, message: str, do: str | None = None) -> RefusedError:
    """The refusal of an option by its field's name: what cannot hold of it, and what to do."""
    option = f"--{name.replace('_', '-')}"
    return RefusedError(f"{option} {message}", kind="option", where=option, next=do or f"change {option}")
