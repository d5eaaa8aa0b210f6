"""`springback doctor [MODEL]`."""

from dataclasses import asdict

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.models.place import TINY


def app(model: str | None = None, *, common: Common = COMMON) -> Answer:
    """Check this environment, and a model when one is named, for known traps.

    Exit code 3 when a check fails; what is skipped says why.

    Args:
        model: Path, hub id or alias; `tiny` is the random one.
    """
    from springback.models.place import place

    if model not in (None, TINY):
        place(model)  # an unknown name is refused before anything heavy is imported

    from springback.experiments.environment import check_environment, environment

    facts = environment()
    checks = check_environment(facts)
    if model is not None:
        import torch

        from springback.experiments.doctor import check_model
        from springback.models.load import load

        checks += check_model(load(model, dtype=torch.float32))
    failed = sum(check.outcome == "fail" for check in checks)
    lines = [f"{name}: {value}" for name, value in facts.items()]
    lines += [f"{check.outcome:4}  {check.name}: {check.why}" for check in checks]
    lines.append(f"{len(checks)} checks, {failed} failed")
    return Answer(
        {"environment": facts, "checks": [asdict(check) for check in checks]},
        lines=lines,
        status="not_reportable" if failed else "done",
    )
