"""What a chat's template is given: read from JSON, which may be nested as deep as a body allows."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, Message, Tool
from workers.runners.generate.prompts import message_text, render

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
HELLO = (Message("user", (TextPart("Hello"),)),)


@pytest.mark.parametrize(
    "chat",
    [
        Chat(HELLO, template_options=DEEP),
        Chat(HELLO, tools=(Tool("f", parameters=DEEP),)),
    ],
    ids=["options", "tools"],
)
def test_json_nested_deeper_than_python_reads_is_the_callers_fault(chat: Chat):
    tokenizer = SimpleNamespace(
        has_tool_calling=True, has_chat_template=True, apply_chat_template=lambda *_, **__: "rendered"
    )
    with pytest.raises(InvalidInput, match="chat template cannot render"):
        render(cast(Any, tokenizer), chat, message_text, tokenize=False)
