"""Other names for models: what they mean, and what stands before their chats."""

import fakeredis
import pytest
from msgspec.structs import replace

from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.entry import Catalogue, CatalogueEntry
from jobs.client.naming import for_model
from jobs.client.queue import JobQueue
from jobs.content import TextPart
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt
from jobs.job import SubmitOptions
from jobs.machines.aliases import check_new_alias, with_catalogues
from jobs.machines.announcements import encode_model
from jobs.machines.machines import MachineInfo
from jobs.models import ModelInfo
from jobs.settings import Settings
from jobs.store import keys, record
from jobs.tokenize import TokenizeJob

BASE = ModelInfo(
    id="org/base", task="generate", created=1, dimensions=0, max_tokens=99, hub_name="org/base", digest="d"
)
POET = ModelDefaults(
    "Rhyme.", {"temperature": 0.5}, (PresetMessage("user", "Hi"), PresetMessage("assistant", "Ho"))
)


def entry(name: str, of: str = "", *, at: float = 5, **more: object) -> CatalogueEntry:
    return CatalogueEntry(name=name, of=of, created_at=1, modified_at=at, **more)  # pyright: ignore[reportArgumentType]


def machine(*entries: CatalogueEntry) -> MachineInfo:
    return MachineInfo("m", 0.0, (), entries)


def names(*machines: MachineInfo, models: tuple[ModelInfo, ...] = (BASE,)) -> dict[str, ModelInfo]:
    return {info.id: info for info in with_catalogues(models, machines)}


def test_an_alias_is_its_model_with_defaults_of_its_own():
    found = names(machine(entry("poet", "org/BASE:latest", defaults=POET)))

    assert found["poet"] == replace(BASE, id="poet", of="org/base", hub_name="", created=5, defaults=POET)
    assert (found["poet"].root, found["org/base"]) == ("org/base", BASE)


def test_an_alias_of_nothing_that_is_served_is_no_model():
    assert set(names(machine(entry("poet", "gone"), entry("bard", "poet")))) == {"org/base"}


def test_the_latest_entry_counts_where_machines_differ():
    old, new = (entry("poet", "org/base", at=at, defaults=ModelDefaults(f"{at}")) for at in (1, 9))

    for machines in ((machine(old), machine(new)), (machine(new), machine(old))):
        assert names(*machines)["poet"].defaults.system == "9"


def test_no_alias_takes_the_name_of_a_served_model():
    assert names(machine(entry("org/base", "other"), entry("other", kind="llm")))["org/base"] == BASE


def test_a_model_with_files_may_have_defaults_and_is_known_before_any_worker_opens_it():
    found = names(
        machine(
            entry("org/base", defaults=POET),
            entry("vectors", kind="embedding"),
            entry("eyes", kind="vlm", task="embed"),
            entry("ranker", kind="reranker", size_bytes=7),
            entry("unknown"),
            entry("tuned", "org/base", adapter="/lora", kind="llm"),
        )
    )

    assert found["org/base"] == replace(BASE, defaults=POET)
    assert {name: info.task for name, info in found.items() if name != "org/base"} == {
        "vectors": "embed", "eyes": "embed", "ranker": "rerank", "tuned": "generate",
    }  # fmt: skip
    assert not found["ranker"].is_announced and found["tuned"].root == "tuned"


INFO = replace(BASE, id="poet", of="org/base", defaults=POET)
QUESTION = Message("user", (TextPart("Why?"),))


def text_of(chat: Chat) -> list[tuple[str, str]]:
    return [(m.role, "".join(p.text for p in m.content if isinstance(p, TextPart))) for m in chat.messages]


def test_what_stands_before_a_chat_is_put_there():
    job = for_model(GenerateJob("poet", Chat((QUESTION,))), INFO)

    assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat) and job.model == "org/base"
    told = [("system", "Rhyme."), ("user", "Hi"), ("assistant", "Ho"), ("user", "Why?")]
    assert text_of(job.prompt) == told
    counted = for_model(TokenizeJob("poet", "generate", chat=Chat((QUESTION,))), INFO)
    assert isinstance(counted, TokenizeJob) and counted.chat and text_of(counted.chat) == told


def test_the_chats_own_system_message_goes_before():
    own = Message("system", (TextPart("Be dull."),))
    job = for_model(GenerateJob("poet", Chat((own, QUESTION))), INFO)

    assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
    assert text_of(job.prompt) == [
        ("system", "Be dull."), ("user", "Hi"), ("assistant", "Ho"), ("user", "Why?"),
    ]  # fmt: skip


def test_raw_prompts_and_other_tasks_stay_as_they_are():
    raw = GenerateJob("poet", Prompt("Once"))
    assert for_model(raw, INFO) == replace(raw, model="org/base")
    embed = EmbedJob(model="poet", inputs=("a",))
    assert for_model(embed, INFO) == replace(embed, model="org/base")
    plain = GenerateJob("org/base", Chat((QUESTION,)))
    assert for_model(plain, BASE) is plain


async def test_a_job_for_an_alias_goes_through_the_queues_of_its_model():
    server = fakeredis.FakeServer()
    redis = fakeredis.FakeRedis(server=server)
    now, _ = redis.time()
    redis.hset(keys.MODELS, BASE.id, encode_model(BASE, now))
    told = MachineInfo("m", now, (), (entry("poet", "org/base", defaults=POET),))
    redis.hset(keys.MACHINES, mapping={"m": record.pack(told), "strange": b"\xc1"})
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())

    assert [info.id for info in await queue.models()] == ["org/base", "poet"]
    await queue.submit(GenerateJob("poet:latest", Chat((QUESTION,))), SubmitOptions())
    assert redis.llen(keys.queue("generate:org/base:default")) == 1


KNOWN = Catalogue(
    1,
    (
        entry("org/base", source="org/base"),
        entry("short", source="org/long"),
        entry("small", source="org/large", quantisation="4bit"),
        entry("poet", "org/base"),
    ),
)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("base", "org/base"),
        ("BASE:latest", "org/base"),
        ("org/long", "short"),
        ("long", "short"),
        ("sentence-transformers/MiniLM", "MiniLM"),
        ("any/poet", "poet"),
    ],
)
def test_a_name_that_means_a_model_already_is_not_given_to_another(name: str, means: str):
    with pytest.raises(InvalidInput, match=f"means {means} already: choose another name"):
        check_new_alias(name, KNOWN, ("MiniLM",))


def test_a_name_that_may_mean_several_models_is_not_given_to_another():
    with pytest.raises(InvalidInput, match="may mean several models already"):
        check_new_alias("base", KNOWN.with_entry(entry("x/base", source="x/base")), ())


@pytest.mark.parametrize("name", ["poet", "Poet:LATEST", "poet:2", "bard", "org/large", "other/base"])
def test_another_name_may_be_given(name: str):
    check_new_alias(name, KNOWN, ("MiniLM",))
