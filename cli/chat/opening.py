"""How a conversation with a model begins: what it is, and that it is in memory."""

from cli.cannot_do import CannotDo
from cli.chat.screen.spinner import Spinner
from cli.chat.session import Session
from cli.client.replies import Shown
from cli.client.server import Server


def look_up(server: Server, model: str) -> Shown:
    """Raises CannotDo."""
    return server.post("/api/show", {"model": model}, Shown)


def load(server: Server, session: Session) -> None:
    """Brings the model into memory. Raises CannotDo."""
    body: dict[str, object] = {"model": session.model, "stream": False}
    if session.keep_alive is not None:
        body["keep_alive"] = session.keep_alive
    with Spinner():
        server.send("POST", "/api/generate", body, works=True)


def check_writes(shown: Shown, model: str) -> None:
    """Raises CannotDo for a model that writes nothing."""
    if "completion" not in shown.capabilities:
        raise CannotDo(f"{model} writes no text: it is for `mlxq rerank`.")
