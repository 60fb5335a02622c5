"""GGUF files through llama.cpp itself: what it writes for us is what the reference writes."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from transformers import AutoTokenizer, GenerationConfig

from components.checkpoints.locate import DEMO_GGUF, Checkpoint, find_checkpoint
from components.engine.errors import EngineError, EngineNotReadyError, PromptError, UnsupportedError
from components.engine.events import Delta, Event, Finished, Waiting
from components.engine.interface import Engine, GenerationRequest
from components.engine.replay import replay
from components.engine.sidecar.llama_cpp import PROGRAM, load_llama_cpp
from components.model.chat_format import Message, chat_format_of
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.engine.sidecar.gguf_files import (
    LayerByLayer,
    converter_of_llama_cpp,
    deep_tiny,
    exported,
    in_parts,
    writing_with,
)
from tests.engine.sidecar.gguf_files import text as text_of
from tests.engine.sidecar.test_sidecar import assert_gone, wait_until
from tests.tiny import CHATS, TINY_PATH

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=24)
ALL = SamplingParams(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_new_tokens=24)
ENDLESS = ALL.model_copy(update={"max_new_tokens": 4000, "ignore_eos": True})
RESERVED = r"<(reserved|extra)_\d+>"
KEPT_WHOLE = [chat for chat in CHATS if "max_new_tokens" not in chat]
QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]


def start(file: Path, folder: Path, **options: object) -> Engine:
    settings = Settings.model_validate({"data_dir": folder, "max_batch": 8, "cache_gb": 0.01, **options})
    return load_llama_cpp(Checkpoint(file, file.stem, False), settings, lambda _: None, full_precision=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with room for replies that take seconds: something can be done to them meanwhile."""
    folder = tmp_path_factory.mktemp("long")
    shutil.copytree(TINY_PATH, folder / "model")
    config = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
    config |= {"max_position_embeddings": 4096, "model_max_length": 4096}
    (folder / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return exported(folder, folder / "model")


@pytest.fixture(scope="module")
def engine(file: Path) -> Iterator[Engine]:
    engine = start(file, file.parent)
    yield engine
    engine.close()


def ask(engine: Engine, sampling: SamplingParams = GREEDY, **options: Any) -> list[Event]:
    request = GenerationRequest(**{"messages": QUESTION, "sampling": sampling, **options})
    return list(engine.generate(request))


def tokens(events: list[Event]) -> list[int]:
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.receipt is not None
    return list(end.receipt.tokens)


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_greedy_replies_equal_the_reference(engine: Engine) -> None:
    for chat in KEPT_WHOLE:
        expected = chat["greedy_ids"]
        length = expected.index(2) if 2 in expected else len(expected)
        sampling = GREEDY.model_copy(update={"max_new_tokens": len(expected)})
        events = ask(engine, sampling, messages=chat["messages"])

        assert engine.tokenize(chat["messages"]) == chat["input_ids"]
        if "\ufffd" in chat["greedy_text"]:  # bytes that are no character, as only random weights write them
            known = text(events).index("\ufffd")
            assert re.sub(RESERVED, "", chat["greedy_text"]).startswith(text(events)[: known + 1])
            continue
        assert tokens(events) == expected[:length]
        assert [id_ for event in events if isinstance(event, Delta) for id_ in event.ids] == expected[:length]


def test_characters_that_are_made_of_several_tokens_have_all_their_ids(engine: Engine) -> None:
    """llama.cpp tells only the last of them."""
    asked = "🦢天鹅🪿"
    ids = engine.tokenize(asked)
    assert len(ids) > len(asked)  # bytes, as no token of this vocabulary is such a character

    events = ask(engine, ALL.model_copy(update={"choice": (asked,), "max_new_tokens": 40}))

    assert text(events) == asked
    assert engine.detokenize(tokens(events)) == asked
    assert tokens(events)[:4] == ids[:4]


def test_a_long_history_is_cut_as_the_reference_cuts_it(engine: Engine) -> None:
    (chat,) = (chat for chat in CHATS if "max_new_tokens" in chat)

    prompt = engine.build_prompt(chat["messages"], chat["max_new_tokens"])

    assert prompt.input_ids == chat["input_ids"]


def test_a_turn_that_somebody_writes_stays_text(engine: Engine) -> None:
    ids = engine.tokenize([{"role": "user", "content": "a<reserved_107>b</s>"}])

    assert (ids[0], ids[-1]) == (195, 196)
    assert not {2, 195, 196} & set(ids[1:-1])
    assert engine.detokenize(ids[1:-1]) == "a<reserved_107>b</s>"


def test_the_demo_models_file_gives_the_ids_of_its_checkpoint(demo_model: Path, tmp_path: Path) -> None:
    file = demo_model / DEMO_GGUF
    if not file.is_file():
        pytest.skip("the demo model was fetched before it kept the file for llama.cpp")
    here = chat_format_of(AutoTokenizer.from_pretrained(demo_model), GenerationConfig.from_pretrained(demo_model))
    rounds: list[list[Message]] = [
        [{"role": "user", "content": "What is the capital of France?"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi <|im_end|>\n<|im_start|>assistant\nI"},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": "12345 + 678 = ?\n\n  x  don't 你好 😀"},
        ],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "  written on\n"}],
    ]
    engine = start(file, tmp_path)
    try:
        for messages in rounds:
            assert engine.tokenize(messages) == here.encode(messages)
    finally:
        engine.close()


def test_a_published_baichuan_file_without_a_template_gets_its_format(tmp_path: Path) -> None:
    source = deep_tiny(tmp_path / "deep")
    same = exported(tmp_path, source, "llama.gguf")
    with converter_of_llama_cpp():
        published = exported(tmp_path, source, "published.gguf")
    replies = []
    for file in (same, published):
        engine = start(file, tmp_path)
        try:
            assert engine.tokenize(KEPT_WHOLE[1]["messages"]) == KEPT_WHOLE[1]["input_ids"]
            replies.append(tokens(ask(engine)))
        finally:
            engine.close()
    assert replies[0] == replies[1]


def test_a_file_that_counts_the_heads_of_each_layer_is_served(engine: Engine, tmp_path: Path) -> None:
    with writing_with(LayerByLayer):
        counted = start(exported(tmp_path), tmp_path)
    try:
        assert tokens(ask(counted)) == tokens(ask(engine))
    finally:
        counted.close()


def test_a_reply_is_written_on_from_its_ids(engine: Engine) -> None:
    whole = tokens(ask(engine))

    rest = ask(engine, GREEDY.model_copy(update={"max_new_tokens": 14}), continues=whole[:10])

    assert tokens(rest) == whole
    assert rest[-1].receipt.continued == 10  # type: ignore[union-attr]


def test_a_reply_ends_before_a_stop_string(engine: Engine) -> None:
    whole = text(ask(engine))
    stop = whole[5:8]

    events = ask(engine, GREEDY.model_copy(update={"stop": (stop,)}))

    assert text(events) == whole[: whole.index(stop)]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"


def test_a_reply_ends_at_a_token_that_the_caller_names(engine: Engine) -> None:
    whole = tokens(ask(engine))

    events = ask(engine, GREEDY.model_copy(update={"stop_token_ids": (whole[4],)}))

    assert tokens(events) == whole[: whole.index(whole[4])]


def test_a_seed_gives_the_same_reply_again(engine: Engine) -> None:
    seeded = [tokens(ask(engine, ALL.model_copy(update={"seed": seed}))) for seed in (2**40 + 1, 2**40 + 1, 5)]

    assert seeded[0] == seeded[1] != seeded[2]


def test_a_receipt_is_replayed(engine: Engine) -> None:
    end = ask(engine, ALL.model_copy(update={"seed": 7}))[-1]
    assert isinstance(end, Finished)
    assert end.receipt is not None

    again = replay(engine, end.receipt)

    assert again.difference is None


def test_scores_are_told_with_their_ids(engine: Engine) -> None:
    plain = ask(engine)
    events = ask(engine, kept_scores=5, logprobs=2)
    deltas = [event for event in events if isinstance(event, Delta)]
    steps = [step for delta in deltas for step in delta.scores]

    assert [step.token for step in steps][: len(tokens(plain))] == tokens(plain)
    assert all(len(step.ids) == 5 and step.ids[0] == step.token for step in steps)  # greedy takes the likeliest
    assert all(len(token.top) == 2 for delta in deltas for token in delta.tokens)
    assert engine.info.tells_logprobs


@pytest.mark.parametrize(
    ("form", "allowed"),
    [
        ({"choice": ("ja", "nein")}, {"ja", "nein"}),
        ({"regex": "x{3}"}, {"xxx"}),
        ({"json_schema": '{"const": {"a": 1}}'}, {'{"a": 1}'}),
        ({"grammar": 'start: "b" "c"'}, {"bc"}),
    ],
)
def test_replies_follow_forms(engine: Engine, form: dict[str, object], allowed: set[str]) -> None:
    assert text(ask(engine, ALL.model_copy(update=form))) in allowed


@pytest.mark.parametrize(
    "options",
    [{"prompt_logprobs": 1}, {"writes": False, "kept_scores": 5, "continues": [300]}],
    ids=["the prompt's log probabilities", "scores read again"],
)
def test_what_llama_cpp_cannot_do_is_said(engine: Engine, options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match=r"llama\.cpp"):
        ask(engine, **options)


def test_what_is_too_long_is_said_before_llama_cpp_hears_of_it(engine: Engine) -> None:
    with pytest.raises(PromptError, match="too long"):
        ask(engine, messages=[{"role": "user", "content": "很长的问题。" * 200}])


def test_a_prompt_that_is_known_is_not_read_again(engine: Engine) -> None:
    first: list[Message] = [{"role": "system", "content": "一二三四五六七八九十" * 4}, *QUESTION]
    reply = ask(engine, messages=first)
    answered: list[Message] = [*first, {"role": "assistant", "content": text(reply)}, *QUESTION]

    end = ask(engine, messages=answered)[-1]

    assert isinstance(end, Finished)
    assert end.reused_tokens >= len(engine.tokenize(first))


def test_many_readers_at_once_get_what_one_alone_gets(engine: Engine) -> None:
    expected = {chat["messages"][0]["content"]: tokens(ask(engine, messages=chat["messages"])) for chat in KEPT_WHOLE}

    generations = [
        (chat, engine.generate(GenerationRequest(chat["messages"], GREEDY, f"reader {number}")))
        for number, chat in enumerate(KEPT_WHOLE * 4)
    ]

    for chat, generation in generations:
        assert tokens(list(generation)) == expected[chat["messages"][0]["content"]]
    assert engine.load().active == 0


def test_a_reply_that_nobody_wants_any_more_ends(long_file: Path, tmp_path: Path) -> None:
    engine = start(long_file, tmp_path)
    try:
        with engine.generate(GenerationRequest(QUESTION, ENDLESS)) as generation:
            while not isinstance(generation.get(timeout=30), Delta):
                pass
            generation.cancel()
            *_, end = generation
    finally:
        engine.close()

    assert isinstance(end, Finished)
    assert end.reason == "cancelled"


def processes() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_a_crash_costs_the_replies_under_way_a_clear_message_and_nothing_else(long_file: Path, tmp_path: Path) -> None:
    before = {process.pid for process in processes()}
    engine = start(long_file, tmp_path)
    try:
        (server,) = (one for one in processes() if one.pid not in before and "llama_cpp_server.py" in one.cmdline()[-1])
        generation = engine.generate(GenerationRequest(QUESTION, ENDLESS))
        while not isinstance(generation.get(timeout=30), Delta):
            pass
        server.suspend()  # else it might be faster than we are
        server.kill()
        with pytest.raises(EngineError, match=r"llama\.cpp broke off.*kept"):
            list(generation)

        assert len(tokens(ask(engine))) > 0  # it was started again, and this reply waited for that
        wait_until(lambda: engine.failure is None)
        left = [one.pid for one in processes() if one.pid not in before]
    finally:
        engine.close()
    assert_gone(server.pid, *left)


def test_replies_asked_for_while_it_is_down_are_written_once_it_is_back(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    """Nobody knows the ids of their prompts until then."""
    expected = tokens(ask(engine))
    moved = tmp_path / "moved.gguf"
    shutil.copy(file, moved)
    before = {process.pid for process in processes()}
    restarted = start(moved, tmp_path)
    try:
        (server,) = (one for one in processes() if one.pid not in before and "llama_cpp_server.py" in one.cmdline()[-1])
        moved.rename(tmp_path / "away.gguf")  # so it does not come back before we want it to
        server.kill()
        wait_until(lambda: restarted.failure)
        with pytest.raises(EngineNotReadyError, match=r"llama\.cpp has crashed and is being started again"):
            restarted.tokenize(QUESTION)

        generations = [restarted.generate(GenerationRequest(QUESTION, GREEDY, str(number))) for number in range(9)]
        too_long = restarted.generate(GenerationRequest([{"role": "user", "content": "很长的问题。" * 200}], GREEDY))
        assert generations[0].get(timeout=30) == Waiting(0, for_restart=True)
        generations.pop().cancel()
        (tmp_path / "away.gguf").rename(moved)

        assert [tokens(list(generation)) for generation in generations] == [expected] * 8
        with pytest.raises(PromptError, match="too long"):
            list(too_long)
        assert restarted.load().active == 0
    finally:
        restarted.close()


def test_a_file_that_llama_cpp_does_not_load_is_said(file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "other.gguf"
    content = file.read_bytes()
    damaged.write_bytes(content.replace(b"blk.0.attn_norm.weight", b"blk.0.attn_nerm.weight"))
    began = time.monotonic()

    with pytest.raises(EngineError, match=r"llama\.cpp ended before it was ready") as caught:
        start(damaged, tmp_path)

    assert "Traceback" not in str(caught.value)
    assert time.monotonic() - began < 60


def test_an_architecture_that_llama_cpp_does_not_know_is_said_with_what_to_do(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    name = text_of("general.architecture") + struct.pack("<I", 8)
    content = file.read_bytes().replace(name + text_of("llama"), name + text_of("lhama"))
    other.write_bytes(content.replace(b"llama.", b"lhama."))

    with pytest.raises(
        EngineError, match=r"model's kind\. Use another model, or a newer version of xllamacpp\."
    ) as caught:
        start(other, tmp_path)

    assert "Traceback" not in str(caught.value)


def test_a_machine_without_openmp_is_told_what_to_install(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({message!r})")
    program = tmp_path / "program.py"
    found_first = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
    program.write_text(found_first + f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')")
    monkeypatch.setattr("components.engine.sidecar.llama_cpp.PROGRAM", program)

    with pytest.raises(EngineError, match=r"ImportError: libgomp.*apt-get install libgomp1\.") as caught:
        start(file, tmp_path)

    assert "Traceback" not in str(caught.value)


def test_a_number_that_llama_cpp_cannot_count_is_told_without_a_traceback(file: Path) -> None:
    options = {"file": str(file), "port": 1, "tokens": 256, "replies": 1, "cache_mib": 2**40, "gpu_layers": 0}
    environment = os.environ | {"LLAMA_CPP_OPTIONS": json.dumps(options), "LLAMA_CPP_KEY": "key"}

    done = subprocess.run([sys.executable, "-I", PROGRAM], env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stderr.startswith("OverflowError: ")
    assert "Traceback" not in done.stderr


def test_every_token_is_counted_once_though_random_bytes_are_no_characters(engine: Engine) -> None:
    """What llama.cpp leaves out is found again by its bytes, which may come to more or fewer tokens."""
    counted = []
    for seed in range(6):
        wild = ALL.model_copy(update={"temperature": 2.0, "max_new_tokens": 100, "ignore_eos": True, "seed": seed})
        counted.append(ask(engine, wild)[-1].completion_tokens)  # type: ignore[union-attr]

    assert counted == [100] * 6


def test_a_model_in_parts_is_served_through_links_out_of_a_cache(engine: Engine, file: Path, tmp_path: Path) -> None:
    """As Hugging Face's cache has them; the first part holds no weights."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    snapshot.mkdir()
    for number, part in enumerate(in_parts(file, blobs)):
        (snapshot / part.name).symlink_to(part.rename(blobs / f"{number:064x}"))
    first = find_checkpoint(Settings(model=next(iter(sorted(snapshot.iterdir())))))
    split = start(first.path, tmp_path / "data")
    try:
        assert tokens(ask(split)) == tokens(ask(engine))
    finally:
        split.close()


def test_a_prompt_may_be_read_for_as_long_as_it_takes(file: Path, tmp_path: Path) -> None:
    """A CPU reads a 7B's long prompt for minutes; how long others' servers are waited for is another matter."""
    patient = start(file, tmp_path, openai_first_token_timeout=1e-6)
    try:
        assert tokens(ask(patient))
    finally:
        patient.close()
