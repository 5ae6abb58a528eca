"""What Ollama's clients may ask of any answer: options, format, think, keep_alive."""

import math
import re
from typing import Annotated, Any, Literal

import msgspec

from api.requests.answer_format import NO_FORMAT, OtherFormats, json_format
from api.requests.generation import SamplingRequest, Stop, sampling, template_options
from api.requests.parameters import NoEffect, Refused
from api.requests.tools import JsonObject
from api.work.ollama_ranges import has_penalties, nearest_number
from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format
from jobs.generate import Sampling

# What Go's time.ParseDuration reads: "5m", "1h30m", "-1ns"; the bare number is ours.
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
"""The sign of micro is in Unicode twice."""
_COUNT = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PART = rf"({_COUNT})({'|'.join(_UNIT_S)})"
_DURATION = re.compile(rf"(?P<sign>[+-]?)(?P<parts>(?:{_PART})+)", re.ASCII)
_DURATION_PART = re.compile(_PART, re.ASCII)
_MAX_CHARACTERS = 100
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.\d{1,18})?", re.ASCII)

Think = bool | Literal["low", "medium", "high", "max"]
KeepAlive = float | str
Format = str | JsonObject

_LAST_TOKENS = 64
"""Ollama's default of repeat_last_n."""

_FOR_EVER_S = 2**63 / 1e9
"""The longest that Go can tell, 292 years. What is kept for longer stays for ever."""


_BESIDE = Refused("not read here. Send format beside the options.", unless=NO_FORMAT)
_WHOLE_CONTEXT = NoEffect("a model has its whole context, and a longer prompt is an error, never cut")
_NO_MORE = NoEffect("Ollama itself reads it no more")
_HARDWARE = NoEffect("how a model lies in memory is the worker's to choose")


class OllamaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Others are ignored, as Ollama does.

    As Ollama does, they take any number: where a whole one is meant, without what is behind the point, and the nearest
    where it means nothing. num_predict: longest answer in tokens; no limit where not positive. top_k: all where not
    positive. seed: none where negative. repeat_last_n: how many of the last tokens the three penalties look at; 0: no
    penalties, -1: all tokens.
    """

    num_predict: float | None = None
    temperature: float | None = None
    top_k: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: float | None = None
    stop: Stop | None = None
    repeat_penalty: float | None = None
    repeat_last_n: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    system: Annotated[Any, Refused("not read here. Send system beside the options, or a message.")] = None
    template: Annotated[
        Any, Refused("the model's own chat template is used. Send raw = true to /api/generate.")
    ] = None
    typical_p: Annotated[Any, Refused("not built. Use top_p or min_p.", unless=(None, 1))] = None
    format: Annotated[Any, _BESIDE] = None
    json_schema: Annotated[Any, _BESIDE] = None
    grammar: Annotated[Any, _BESIDE] = None
    num_ctx: Annotated[Any, _WHOLE_CONTEXT] = None
    num_keep: Annotated[Any, _WHOLE_CONTEXT] = None
    mirostat: Annotated[Any, _NO_MORE] = None
    mirostat_tau: Annotated[Any, _NO_MORE] = None
    mirostat_eta: Annotated[Any, _NO_MORE] = None
    tfs_z: Annotated[Any, _NO_MORE] = None
    penalize_newline: Annotated[Any, _NO_MORE] = None
    num_gqa: Annotated[Any, _NO_MORE] = None
    numa: Annotated[Any, _HARDWARE] = None
    num_batch: Annotated[Any, _HARDWARE] = None
    num_gpu: Annotated[Any, _HARDWARE] = None
    main_gpu: Annotated[Any, _HARDWARE] = None
    num_thread: Annotated[Any, _HARDWARE] = None
    low_vram: Annotated[Any, _HARDWARE] = None
    f16_kv: Annotated[Any, _HARDWARE] = None
    use_mmap: Annotated[Any, _HARDWARE] = None
    use_mlock: Annotated[Any, _HARDWARE] = None
    logits_all: Annotated[Any, _HARDWARE] = None
    vocab_only: Annotated[Any, _HARDWARE] = None
    embedding_only: Annotated[Any, _HARDWARE] = None


OPTIONS = frozenset(OllamaOptions.__struct_fields__)


class BesideOptions(OtherFormats, frozen=True, kw_only=True):
    """What the AI SDK's provider of Ollama writes beside the options. Each is heeded unless the options say it.

    max_tokens, max_output_tokens: num_predict.
    """

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: Stop | None = None
    max_tokens: float | None = None
    max_output_tokens: float | None = None


def with_beside(options: OllamaOptions | None, beside: BesideOptions) -> OllamaOptions:
    """The options, and what is beside them."""
    known = options or OllamaOptions()
    given = {
        "temperature": beside.temperature,
        "top_p": beside.top_p,
        "presence_penalty": beside.presence_penalty,
        "frequency_penalty": beside.frequency_penalty,
        "stop": beside.stop,
        "num_predict": beside.max_output_tokens if beside.max_tokens is None else beside.max_tokens,
    }
    more = {name: value for name, value in given.items() if getattr(known, name) is None}
    return msgspec.structs.replace(known, **more)


def ollama_sampling(asked: OllamaOptions) -> Sampling:
    """With Ollama's defaults: temperature 0.8, top_k 40, top_p 0.9, repeat_penalty 1.1 over 64 tokens."""
    last_tokens = int(_within("repeat_last_n", asked.repeat_last_n, _LAST_TOKENS))
    penalizes = has_penalties(last_tokens)
    context = max(0, last_tokens)  # 0 is all of them, in a job
    repetition = _within("repeat_penalty", asked.repeat_penalty, 1.1)
    return sampling(
        SamplingRequest(
            temperature=_within("temperature", asked.temperature, 0.8),
            top_k=int(_within("top_k", asked.top_k, 40)),
            top_p=_within("top_p", asked.top_p, 0.9),
            min_p=_within("min_p", asked.min_p, 0),
            seed=None if asked.seed is None or asked.seed < 0 else int(_within("seed", asked.seed, 0)),
            repetition_penalty=(repetition or 1.0) if penalizes else 1.0,
            repetition_context_size=context,
            presence_penalty=_within("presence_penalty", asked.presence_penalty, 0) if penalizes else 0.0,
            presence_context_size=context,
            frequency_penalty=_within("frequency_penalty", asked.frequency_penalty, 0) if penalizes else 0.0,
            frequency_context_size=context,
        )
    )


def max_tokens_of(asked: OllamaOptions) -> int | None:
    """None where num_predict sets no limit."""
    return int(_within("num_predict", asked.num_predict, 0)) or None


def _within(word: str, asked: float | None, default: float) -> float:
    """What is asked, or the nearest that there is."""
    return default if asked is None else nearest_number(word, asked)


def ollama_format(asked: Format | None) -> JsonFormat | None:
    """Raises InvalidInput for any word but "json", and for a schema that is too large."""
    if not asked and not isinstance(asked, dict):
        return None
    if isinstance(asked, dict):
        form = json_format(asked, "format")
        check_format(form)
        return form
    if asked != "json":
        raise InvalidInput(f'format is "json" or a JSON schema, not {asked[:100]!r}.', param="format")
    return JsonFormat(param="format")


def think_options(asked: Think | None) -> str:
    """The chat template's variables, as a JSON object. A level switches thinking on and is given besides."""
    if asked is None:
        return template_options(None, "think")
    level = asked if isinstance(asked, str) else None
    return template_options(None, "think", enable_thinking=bool(asked), reasoning_effort=level)


def keep_alive_s(asked: KeepAlive | None) -> float | None:
    """Seconds; infinity (for ever) for what is negative; None where nothing was said. Raises InvalidInput."""
    if asked is None or asked == "":
        return None
    seconds = _seconds(asked) if isinstance(asked, str) else asked
    if seconds is None or not math.isfinite(seconds):
        raise InvalidInput(
            f'keep_alive is a number of seconds or a duration such as "5m" or "1h30m", not {str(asked)[:100]!r}.',
            param="keep_alive",
        )
    return math.inf if seconds < 0 or seconds > _FOR_EVER_S else seconds


def _seconds(text: str) -> float | None:
    if len(text) > _MAX_CHARACTERS:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    duration = _DURATION.fullmatch(text)
    if duration is None:
        return None
    seconds = sum(float(count) * _UNIT_S[unit] for count, unit in _DURATION_PART.findall(duration["parts"]))
    return -seconds if duration["sign"] == "-" else seconds
