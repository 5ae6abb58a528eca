"""Compares what Redis holds in the end with what was ordered and told."""

from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.store import record
from tests.chaos.audit.stored import Stored
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.losses import Heard, Loss, may_be_lost, was_told_of_lost
from tests.chaos.order import EXPECTED, INNOCENT
from tests.chaos.plan import Plan
from tests.chaos.producer import Note

RUSH_S = 1.0


def _is_excused(stored: Stored, max_crashes: int) -> bool:
    """Whether a job may end like this as well: a `canceled` one in time, and an `overtime` one as lost.

    It sits in its worker for its whole time limit, so faults meant for others can kill it there as often as a
    job may be in a dying worker.
    """
    match stored.kind, stored.status, stored.code:
        case "canceled", "canceled", None:
            return True
        case "overtime", "failed", "worker_lost":
            return stored.crashes >= max_crashes
        case _:
            return False


def _is_newer(stored: Stored, plan: Plan) -> bool:
    """Whether its record is of the next version. Those have ended as their last worker made them end."""
    return bool(stored.order) and int(stored.order.partition(":")[0]) < plan.newer_producers


def _ran_on_newer(stored: Stored, plan: Plan) -> bool:
    newer = tuple(f"w{number}." for number in range(plan.newer_workers))
    return not stored.worker or stored.worker.startswith(newer)


class Audit:
    """problems by sort: each must be empty.

    losses: when Redis lost what it had written last. Only what was acknowledged within one may be gone, and only what
    was told within one may have become something else; `lost_with_the_file` and `changed_with_the_file` count both.
    """

    def __init__(self, plan: Plan, notes: list[Note], garbage: Garbage, losses: Sequence[Loss]) -> None:
        self._plan = plan
        self._notes = notes
        self._garbage = garbage
        self._losses = losses
        self.stored: dict[str, Stored] = {}
        self.problems: dict[str, list[str]] = {"lost": [], "doubled": [], "wrong": [], "surprising": []}
        self.statuses = Counter[str]()
        self.lost_with_the_file = 0
        self.changed_with_the_file = 0

    def run(self, stored: Iterable[Stored]) -> None:
        self.stored = {each.id: each for each in stored}
        for each in self.stored.values():
            self._check_stored(each)
        for note in self._notes:
            self._check_note(note)
        for job_id in self._garbage.expected.keys() - self.stored.keys():
            strewn = self._garbage.strewn_at[job_id]
            if may_be_lost(self._losses, strewn, strewn):
                self.lost_with_the_file += 1
            else:
                self.problems["lost"].append(f"{job_id}: garbage without a trace")
        self._check_orders()

    def _check_stored(self, stored: Stored) -> None:
        self.statuses[stored.status] += 1
        if stored.status not in ("finished", "failed", "canceled"):
            self.problems["lost"].append(f"{stored}")
            return
        if stored.results != (stored.status != "canceled"):
            self.problems["doubled"].append(f"{stored}")
        wanted = self._garbage.expected.get(stored.id) or EXPECTED[stored.kind]
        if (stored.status, stored.code) != wanted and not _is_excused(stored, self._plan.max_crashes):
            self.problems["surprising"].append(f"{stored}")
        if _is_newer(stored, self._plan) and not _ran_on_newer(stored, self._plan):
            self.problems["wrong"].append(f"a worker of the last version ran it: {stored}")
        if stored.log or (stored.status == "finished" and not stored.right):
            self.problems["wrong"].append(f"{stored}")

    def _check_note(self, note: Note) -> None:
        if note.problem:
            self.problems["surprising"].append(f"the client raised: {note}")
        if not note.id:
            return
        if note.told == "untold":
            self.problems["lost"].append(f"{note}")
        if note.told == "wrong" and not self._is_changed(*note.heard):
            self.problems["wrong"].append(f"{note}")
        stored = self.stored.get(note.id)
        if stored is None:
            if may_be_lost(self._losses, note.sent_at, note.acknowledged_at):
                self.lost_with_the_file += 1
            elif not note.brief:
                self.problems["lost"].append(f"acknowledged, but not there: {note}")
            elif note.told == "expired" and note.told_heard.at < note.first_sent_at + self._plan.brief_ttl_s:
                self.problems["lost"].append(f"gone before its time: {note}")
            return
        outcome = "canceled" if stored.status == "canceled" else stored.code or "finished"
        if note.told not in ("untold", "wrong", outcome) and not self._is_changed(note.told_heard):
            self.problems["wrong"].append(f"told otherwise than stored: {note} {stored}")
        if note.canceled not in (None, stored.status == "canceled") and not self._is_changed(
            note.canceled_heard
        ):
            self.problems["wrong"].append(f"the cancel call answered otherwise: {note} {stored}")
        if stored.order != f"{note.producer}:{note.number}":
            self.problems["wrong"].append(f"another job under this id: {note} {stored}")

    def _is_changed(self, *heard: Heard) -> bool:
        """Whether Redis may have lost what was heard at one of these times."""
        changed = any(was_told_of_lost(self._losses, each) for each in heard)
        self.changed_with_the_file += changed
        return changed

    def _check_orders(self) -> None:
        """A submit with an idempotency key was repeated until acknowledged; the others were sent once."""
        copies = Counter(each.order for each in self.stored.values() if each.order)
        for name, count in copies.items():
            if count > 1:
                self.problems["doubled"].append(f"{count} jobs for the order {name}")

    def settled(self, since_s: float) -> list[tuple[float, Stored]]:
        """(seconds from a moment to its end, job) of the innocent jobs that ended after it, ascending.

        Without the flaky ones: they wait for their retries, which has nothing to do with faults.
        """
        return sorted(
            (each.ended_at_s - since_s, each) for each in self._innocent() if each.ended_at_s > since_s
        )

    def rush_s(self, since_s: float) -> float:
        """What the innocent jobs that came within RUSH_S of a moment took from then on."""
        return max(
            (
                each.ended_at_s - since_s
                for each in self._innocent()
                if since_s <= (record.created_at(each.id) or 0.0) <= since_s + RUSH_S
            ),
            default=0.0,
        )

    def _innocent(self) -> list[Stored]:
        return [each for each in self.stored.values() if each.kind in INNOCENT and each.kind != "flaky"]

    def worst_crashes(self) -> int:
        """Most worker deaths that one innocent job was suspected of."""
        return max((each.crashes for each in self.stored.values() if each.kind in INNOCENT), default=0)

    def newer(self) -> int:
        """Jobs whose records are of the next version."""
        return sum(_is_newer(each, self._plan) for each in self.stored.values())

    def streams(self) -> int:
        """Streams that have finished, each with its whole and right text in its log and in its result."""
        return sum(
            each.kind == "stream" and each.status == "finished" and each.right and not each.log
            for each in self.stored.values()
        )
