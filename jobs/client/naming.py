"""A job for a model that its caller knows by another name."""

from msgspec.structs import replace

from jobs.catalogue.defaults import ModelDefaults
from jobs.content import TextPart
from jobs.generate import Chat, GenerateJob, Message
from jobs.job import Job
from jobs.models import ModelInfo
from jobs.tokenize import TokenizeJob


def for_model(job: Job, info: ModelInfo) -> Job:
    """The job as the model's workers take it: by its own id, and a chat with the messages before every chat."""
    if info.root != job.model:
        job = replace(job, model=info.root)
    if isinstance(job, GenerateJob) and isinstance(job.prompt, Chat):
        chat = with_presets(job.prompt, info.defaults)
        return job if chat is job.prompt else replace(job, prompt=chat)
    if isinstance(job, TokenizeJob) and job.chat is not None:
        return replace(job, chat=with_presets(job.chat, info.defaults))
    return job


def with_presets(chat: Chat, defaults: ModelDefaults) -> Chat:
    """The system message only where the chat has none; the preset messages follow it."""
    if not (defaults.system or defaults.messages) or not chat.messages:
        return chat
    own = [message for message in chat.messages if message.role == "system"]
    preset = () if own or not defaults.system else (_message("system", defaults.system),)
    told = tuple(_message(each.role, each.content) for each in defaults.messages)
    begins = 1 if chat.messages[0].role == "system" else 0
    return replace(chat, messages=(*preset, *chat.messages[:begins], *told, *chat.messages[begins:]))


def _message(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))
