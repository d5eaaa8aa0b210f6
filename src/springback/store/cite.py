"""The works a run stands on: `run.json` lists their keys under `papers`."""

from springback import papers
from springback.errors import RefusedError
from springback.store.run import Run


def keys(run: Run) -> list[str]:
    """The keys of what the run used, each once. RefusedError where it lists a work that this version does not know."""
    listed = run.meta.get("papers", [])
    cited = [str(key) for key in listed] if isinstance(listed, list) else ["no list"]
    strange = [key for key in cited if key not in papers.ALL]
    if strange:
        todo = f"Use springback {run.meta['springback']}, which wrote the run."
        message = f"the run cites what this version does not know: {', '.join(strange)}"
        raise RefusedError(message, kind="run", where=str(run.path), next=todo)
    return list(dict.fromkeys(cited))


def bibtex(run: Run) -> str:
    """Their BibTeX; empty for a run that cites nothing."""
    return papers.bibliography(found) if (found := keys(run)) else ""
