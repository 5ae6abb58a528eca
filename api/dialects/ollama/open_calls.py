"""Calls of a chat that no message has answered yet. Ollama's messages need not say by id which one they answer."""

from collections import defaultdict, deque

from jobs.generate import ToolCall


class OpenCalls:
    """In the order of the calls. A chat may have as many calls as fit into a body, so each step takes constant time."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[int, str] = {}  # ids, by the calls' indices
        self._by_id: dict[str, list[int]] = defaultdict(list)
        # Answered calls stay in these until they come first. None: calls of any name.
        self._by_name: dict[str | None, deque[int]] = defaultdict(deque)

    def add(self, call: ToolCall) -> None:
        """A call that the assistant made."""
        self._open[self._count] = call.id
        self._by_id[call.id].append(self._count)
        for name in (None, call.name):
            self._by_name[name].append(self._count)
        self._count += 1

    def answer(self, call_id: str) -> None:
        """Nothing happens where no such call is open."""
        for index in self._by_id.pop(call_id, ()):
            self._open.pop(index, None)

    def answer_first(self, name: str | None) -> str | None:
        """The id of the first open call of a name, or of any; None where there is none."""
        waiting: deque[int] = self._by_name.get(name, deque())
        while waiting:
            found = self._open.pop(waiting.popleft(), None)
            if found is not None:
                return found
        return None
