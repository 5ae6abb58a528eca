"""Text generation: what is asked, what comes back, and the pieces that come before the end."""

from typing import Literal

import msgspec

from jobs.answer_format import AnswerFormat
from jobs.content import ImagePart, TextPart

FinishReason = Literal["stop", "length", "tool_calls"]

ToolChoice = Literal["auto", "none", "required"]


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a function by the model."""

    id: str
    name: str
    arguments: str
    """A JSON object, as text; in an earlier turn it may be any text, as a model wrote it."""
    cut: bool = False
    """max_tokens ended the answer within the call: arguments is the beginning of such a text, and may be empty."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a chat."""

    role: str
    content: tuple[TextPart | ImagePart, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Which call a message of role "tool" answers."""
    name: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'
    """JSON schema of its arguments, as text."""
    strict: bool = False
    """The arguments fulfil the schema also where the model is free to call or not, if its way of calling is one that
    can be enforced. Keywords that cannot be enforced are refused; otherwise they are notes.
    """


class Chat(msgspec.Struct, frozen=True, omit_defaults=True, tag="chat"):
    """Messages that the model's own chat template turns into a prompt."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    tool_name: str | None = None
    """The one tool to call, instead of tool_choice."""
    parallel_tool_calls: bool = True
    """False ends the answer after its first call."""
    template_options: str = "{}"
    """JSON object of further variables of the chat template, such as enable_thinking."""
    role_mapping: dict[str, str] = {}
    """Prefixes of the roles, for a model that has no chat template."""
    continue_final: bool = False
    """The last message is the assistant's and the beginning of the answer, which goes on after its text."""
    generation_prompt: bool = True
    """With the beginning of the assistant's turn at the end."""
    special_tokens: bool = False
    """With those that the tokenizer puts around every text, besides what the template writes."""

    @property
    def characters(self) -> int:
        """Of all its texts: at least so much is there to be rendered and tokenised."""
        size = len(self.template_options)
        for turn in self.messages:
            size += sum(len(part.text) for part in turn.content if isinstance(part, TextPart))
            size += sum(len(call.name) + len(call.arguments) for call in turn.tool_calls)
            size += len(turn.reasoning)
        return size + sum(
            len(each.name) + len(each.description) + len(each.parameters) for each in self.tools
        )


class Prompt(msgspec.Struct, frozen=True, tag="prompt"):
    """A prompt as the model is to read it."""

    content: str | tuple[int, ...]
    """Text, or token ids of the model's own tokenizer."""
    images: tuple[bytes, ...] = ()
    """Encoded."""
    suffix: str | None = None
    """What is to follow: the model fills in between. Only with a text, and for models with tokens for it."""
    special_tokens: bool = True
    """A text gets those that the tokenizer puts around every text."""


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the next token is chosen. The defaults take the model's probabilities as they are.

    A penalty looks at so many of the last tokens as its context says; 0: at all of them.
    """

    temperature: float = 1.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    top_k: int = 0
    """0 for all."""
    min_p: float = 0.0
    seed: int | None = None
    """The same seed, the same tokens, in any batch."""
    repetition_penalty: float = 1.0
    """Divides or multiplies the logit; 1.0 for none."""
    repetition_context: int = 20
    presence_penalty: float = 0.0
    """Subtracted from the logit."""
    presence_context: int = 0
    frequency_penalty: float = 0.0
    """Subtracted from the logit for each time that the token occurred."""
    frequency_context: int = 0
    logit_bias: dict[int, float] = {}
    """Added to a token id's logit."""
    allowed_ids: tuple[int, ...] = ()
    """No other tokens are chosen. Empty: any."""
    stop_ids: tuple[int, ...] = ()
    """Tokens that end an answer, besides the model's own ends, and are no part of its text."""
    ignore_ends: bool = False
    """The model's own ends do not end an answer."""
    min_tokens: int = 0
    """Before so many tokens none that ends an answer is chosen."""


class GenerateJob(msgspec.Struct, frozen=True, omit_defaults=True, tag="generate", tag_field="task"):
    """Continue a prompt, or answer a chat."""

    model: str
    prompt: Chat | Prompt
    n: int = 1
    """Answers."""
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """Of one answer. None: as far as the model's context reaches. 0: the answer is empty."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer and are no part of it."""
    logprobs: int | None = None
    """How many alternatives to give for each token; 0: only the token's own probability; None: none at all."""
    end_logprobs: bool = False
    """With them those of the end marker, where one ends the answer (`TokenLogprobs.ends`). Processes that do not know
    such an entry do not ask for it.
    """
    prompt_logprobs: int | None = None
    """As `logprobs`, for the tokens of the prompt. All of it is then computed anew. Not for prompts with images."""
    format: AnswerFormat | None = None
    stream: bool = False
    """Pieces are published as they come, and kept for whoever reads them later."""
    skip_special_tokens: bool = True
    """Special tokens of the model's tokenizer are left out of the answer's text."""
    echo: bool = False
    """The prompt is put before the answer."""
    keep_alive_s: float | None = None
    """As EmbedJob has it."""
    return_ids: bool = False
    """The ids of the prompt's tokens and of the answers' are told."""
    count_only: bool = False
    """The prompt's tokens are counted, and nothing is written. The prompt may then be empty."""

    @property
    def needs_grammar(self) -> bool:
        """Whether a grammar may have to be compiled for it, which may take long however short the job is."""
        chat = self.prompt if isinstance(self.prompt, Chat) else None
        if self.format is not None or chat is None:
            return self.format is not None
        strict = chat.tool_choice == "auto" and any(tool.strict for tool in chat.tools)
        return strict or chat.tool_choice == "required"


LEAST_LOGPROB = -9999.0
"""OpenAI's number for a token that cannot be: JSON has no infinity."""


class ScoredToken(msgspec.Struct, frozen=True, gc=False):
    """A token, and how probable it was."""

    text: str
    """As far as it is valid UTF-8."""
    bytes: bytes
    logprob: float
    """Natural logarithm of its probability."""
    id: int | None = None
    """None in results of earlier versions."""


class TokenLogprobs(msgspec.Struct, frozen=True, omit_defaults=True):
    """The chosen token, and the most probable ones in its place, most probable first."""

    chosen: ScoredToken
    top: tuple[ScoredToken, ...] = ()
    hidden: bool = False
    """The token is no part of the answer's text, because special tokens are left out."""
    ends: bool = False
    """The token is an end marker: the last one of an answer, and hidden."""


class PromptToken(msgspec.Struct, frozen=True, array_like=True):
    """A token of the prompt, and how probable it was after those before it."""

    id: int
    text: str
    """As far as it is valid UTF-8."""
    bytes: bytes
    logprob: float | None = None
    """Natural logarithm of its probability. None of the first token: nothing is before it."""
    rank: int | None = None
    """1: none was more probable. None of the first token."""
    top: tuple[ScoredToken, ...] = ()
    """The most probable ones in its place, most probable first."""
    hidden: bool = False
    """The tokenizer added it: the prompt's text does not have it."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What an answer grew by. Pieces of one answer, put one after the other, are the answer."""

    choice: int = 0
    """Which of the n answers."""
    text: str = ""
    reasoning: str = ""
    tokens: tuple[int, ...] = ()
    """The ids it was read from, also of withheld text, such as that of a tool call that is not complete yet."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Complete calls. On an answer's last piece one that is cut, too."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    finish_reason: FinishReason | None = None
    """On an answer's last piece."""
    stop: str | None = None
    """On an answer's last piece: the caller's stop text that ended it. None at an end marker."""
    prompt_logprobs: tuple[PromptToken, ...] = ()
    """On an answer's first piece, where they were asked for."""


class Pieces(msgspec.Struct, frozen=True, array_like=True):
    """One event of a stream."""

    prompt_tokens: int
    """Of the whole prompt, in every event; so are cached_tokens."""
    cached_tokens: int
    pieces: tuple[Piece, ...]
    load_s: float = 0.0
    """On a job's first event: how long it waited for its model to be loaded."""
    digest: str = ""
    """On a job's first event: of the model that writes it. A model with another digest cannot go on after it."""
    prompt_ids: tuple[int, ...] = ()
    """On a job's first event, where they were asked for."""


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One whole answer."""

    text: str
    finish_reason: FinishReason
    """Where calls came before the stop text, it is "tool_calls" all the same."""
    tokens: int
    """How many were generated for it."""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    stop: str | None = None
    """The caller's stop text that ended it. None at an end marker."""
    prompt_logprobs: tuple[PromptToken, ...] = ()
    """Of all the prompt's tokens, where they were asked for."""
    ids: tuple[int, ...] = ()
    """Of its tokens, the one that ended it included, where they were asked for."""


class GenerateResult(msgspec.Struct, frozen=True, tag="generate_result", omit_defaults=True):
    """Times are of the execution that ended the job: what was written before its worker was lost took time that nobody
    has measured. Of several answers the slowest counts.
    """

    choices: tuple[Choice, ...]
    """None where only a count was asked."""
    prompt_tokens: int
    cached_tokens: int = 0
    """So many of prompt_tokens were not computed anew."""
    load_s: float = 0.0
    """How long the job waited for its model to be loaded."""
    prompt_s: float = 0.0
    """From an answer's beginning on the device to its first token."""
    generate_s: float = 0.0
    """From its first token to its last."""
    digest: str = ""
    """Of the model that wrote it (jobs.models.ModelInfo). Empty: not known."""
    prompt_ids: tuple[int, ...] = ()
    """Of the prompt's tokens, where they were asked for."""
