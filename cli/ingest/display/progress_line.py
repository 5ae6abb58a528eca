"""How far an ingest is, in one line."""

from cli.ingest.display.amounts import told_bytes, told_rate, told_time
from jobs.ingests.run import RunProgress, StageProgress

SEPARATOR = " · "


def progress_line(progress: RunProgress, width: int) -> str:
    """At most `width` characters: what matters least is left out where it is narrow."""
    parts = _parts(progress)
    for most in sorted({importance for importance, _ in parts}, reverse=True):
        line = SEPARATOR.join(text for importance, text in parts if importance <= most)
        if len(line) <= width:
            return line
    return SEPARATOR.join(text for importance, text in parts if importance == 0)[:width]


def _parts(progress: RunProgress) -> list[tuple[int, str]]:
    """In the order in which they are shown, each with its importance: 0 matters most."""
    stages = {stage.name: stage for stage in progress.stages}
    parts = list[tuple[int, str]]()
    if (look := stages.get("look")) and "store" not in stages:
        parts.append((0, f"looking: {look.done:,}{_of(look)} files"))
        if size := stages.get("hash"):
            total = f" of {told_bytes(size.total)}" if size.total else ""
            parts.append((1, f"{told_bytes(size.done)}{total}"))
            if size.per_s:
                parts.append((2, f"{told_bytes(size.per_s)}/s"))
    if files := stages.get("files"):
        parts.append((0, f"{files.done:,}{_of(files)} files"))
        if files.per_s:
            parts.append((6, told_rate(files.per_s, "files")))
    pages = [stage for name in ("read", "embed", "store") if (stage := stages.get(name))]
    if pages:
        parts.append((4, ", ".join(f"{stage.name} {stage.done:,}" for stage in pages)))
    if done := stages.get("done"):
        parts.append((1, told_rate(done.per_s, done.unit) if done.per_s else f"{done.done:,} pages"))
    if progress.eta_s is not None:
        parts.append((2, f"{told_time(progress.eta_s)} left"))
    if failed := progress.documents_failed + progress.pages_failed:
        parts.append((5, f"{failed:,} failed"))
    if progress.message:
        parts.append((3, progress.message))
    elif progress.held_up_by:
        parts.append((3, f"waits for {progress.held_up_by}"))
    return parts


def _of(stage: StageProgress) -> str:
    return "" if stage.total is None else f" of {stage.total:,}"
