"""Text generation: what is asked, what comes back, and the pieces that come before the end."""

from typing import Literal

import msgspec

FinishReason = Literal["stop", "length", "tool_calls"]

ToolChoice = Literal["auto", "none", "required"]


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """An encoded picture (PNG, JPEG, …), as it came: whoever asked has fetched it already."""

    data: bytes


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a function by the model. arguments: a JSON object, as text.

    cut: max_tokens ended the answer within the call: arguments is the beginning of such a text, and may be empty.
    """

    id: str
    name: str
    arguments: str
    cut: bool = False


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat. tool_call_id: which call a message of role "tool" answers."""

    role: str
    content: tuple[TextPart | ImagePart, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call. parameters: JSON schema of its arguments, as text. strict: the arguments fulfil it
    also where the model is free to call or not, if its way of calling is one that can be enforced.
    """

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'
    strict: bool = False


class Chat(msgspec.Struct, frozen=True, tag="chat"):
    """Messages that the model's own chat template turns into a prompt.

    tool_choice: or the name of the one tool to call, as `tool_name`.
    parallel_tool_calls: False ends the answer after its first call.
    template_options: JSON object of further variables of the chat template, such as enable_thinking.
    role_mapping: prefixes of the roles, for a model that has no chat template.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    tool_name: str | None = None
    parallel_tool_calls: bool = True
    template_options: str = "{}"
    role_mapping: dict[str, str] = {}


class Prompt(msgspec.Struct, frozen=True, tag="prompt"):
    """A prompt as the model is to read it: text, or token ids of the model's own tokenizer. images: encoded."""

    content: str | tuple[int, ...]
    images: tuple[bytes, ...] = ()


class Sampling(msgspec.Struct, frozen=True):
    """How the next token is chosen. The defaults take the model's probabilities as they are.

    temperature: 0 takes the most probable token. top_k: 0 for all. The penalties look at so many of the last tokens
    as their context says (0: at all of them); repetition divides or multiplies the logit (1.0: none), presence and
    frequency subtract. logit_bias: added to a token id's logit. seed: the same seed, the same tokens, in any batch.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    repetition_context: int = 20
    presence_penalty: float = 0.0
    presence_context: int = 0
    frequency_penalty: float = 0.0
    frequency_context: int = 0
    logit_bias: dict[int, float] = {}


class JsonFormat(msgspec.Struct, frozen=True, tag="json"):
    """The answer is JSON. schema: JSON schema that it fulfils, as text; None for any object.

    param: the request's field that it came in, named in errors; so it is in the other formats.
    """

    schema: str | None = None
    param: str = "response_format"


class RegexFormat(msgspec.Struct, frozen=True, tag="regex"):
    """The whole answer matches a regular expression, without look-around and back-references."""

    pattern: str
    param: str = "response_format"


class ChoiceFormat(msgspec.Struct, frozen=True, tag="choice"):
    """The answer is one of the texts."""

    choices: tuple[str, ...]
    param: str = "response_format"


class GrammarFormat(msgspec.Struct, frozen=True, tag="grammar"):
    """The answer follows a grammar in llguidance's Lark syntax (its first rule is `start`) or in llama.cpp's GBNF
    (`root ::= …`).
    """

    grammar: str
    param: str = "response_format"


AnswerFormat = JsonFormat | RegexFormat | ChoiceFormat | GrammarFormat


class GenerateJob(msgspec.Struct, frozen=True, tag="generate", tag_field="task"):
    """Continue a prompt, or answer a chat.

    n: answers. max_tokens: of one answer; None as far as the model's context reaches. stop: texts that end an answer
    and are no part of it. logprobs: how many alternatives to tell for each token (0: only the token's own
    probability); None: none. stream: pieces are told as they come, and kept for whoever reads them later.
    skip_special_tokens: special tokens of the model's tokenizer are left out of the answer's text.
    echo: the prompt is put before the answer. keep_alive_s: how long the model stays loaded after this, infinity for
    ever, None: the server's own setting. count_only: the prompt's tokens are counted, and nothing is written; the
    prompt may then be empty.
    """

    model: str
    prompt: Chat | Prompt
    n: int = 1
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    format: AnswerFormat | None = None
    stream: bool = False
    skip_special_tokens: bool = True
    echo: bool = False
    keep_alive_s: float | None = None
    count_only: bool = False


class TokenChance(msgspec.Struct, frozen=True):
    """A token's text, as far as it is valid UTF-8, its bytes, and the natural logarithm of its probability."""

    text: str
    bytes: bytes
    logprob: float


class TokenLogprobs(msgspec.Struct, frozen=True):
    """The chosen token, and the most probable ones in its place, most probable first.

    hidden: the token is no part of the answer's text, because special tokens are left out.
    """

    chosen: TokenChance
    top: tuple[TokenChance, ...] = ()
    hidden: bool = False


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What an answer grew by. Pieces of one answer, put one after the other, are the answer.

    choice: which of the n answers. tokens: the token ids it was read from (also of withheld text, as of a tool call
    that is not complete yet). tool_calls: complete calls; on an answer's last piece one that is cut, too.
    finish_reason: on an answer's last piece. stop: there, too: the caller's stop text that ended it; None at an end
    marker.
    """

    choice: int = 0
    text: str = ""
    reasoning: str = ""
    tokens: tuple[int, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    finish_reason: FinishReason | None = None
    stop: str | None = None


class Pieces(msgspec.Struct, frozen=True, array_like=True):
    """One event of a stream. prompt_tokens and cached_tokens are those of the whole prompt, in every event."""

    prompt_tokens: int
    cached_tokens: int
    pieces: tuple[Piece, ...]


class Choice(msgspec.Struct, frozen=True):
    """One whole answer. tokens: how many were generated for it. stop: the caller's stop text that ended it; None at
    an end marker. Where calls came before that text, finish_reason is "tool_calls" all the same.
    """

    text: str
    finish_reason: FinishReason
    tokens: int
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    stop: str | None = None


class GenerateResult(msgspec.Struct, frozen=True, tag="generate_result"):
    """cached_tokens: so many of prompt_tokens were not computed anew. choices: none where only a count was asked.

    prompt_s: from an answer's beginning on the device to its first token. generate_s: from its first token to its
    last. Of several answers the slowest counts. Only the execution that ended the job is in them: what was written
    before its worker was lost took time that nobody has measured.
    """

    choices: tuple[Choice, ...]
    prompt_tokens: int
    cached_tokens: int = 0
    load_s: float = 0.0
    prompt_s: float = 0.0
    generate_s: float = 0.0
