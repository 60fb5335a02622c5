"""A target in a process of its own answers as it does here."""

import os
import platform
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from bench.lesser_cpu import AVX2_ONLY
from bench.loading import load_application, load_plain
from bench.process import Loaded, ProcessTarget, in_ended_thread
from bench.targets import EngineTarget
from components.checkpoints.locate import Checkpoint
from components.settings import Settings
from tests.scripted_engine import ScriptedEngine
from tests.tiny import CHATS, TINY_PATH

TINY = Checkpoint(TINY_PATH, "tiny", is_demo=False)


@pytest.mark.parametrize("load", [load_plain, load_application])
def test_replies_come_out_of_the_process(load: Callable[[Settings, Checkpoint], Loaded], tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu", dtype="float32")
    target = ProcessTarget(partial(load, settings, TINY))
    try:
        one = target.answer(CHATS[0]["messages"], 12, "x")
        _, many = target.answer_at_once([chat["messages"] for chat in CHATS[:3]], 12)
    finally:
        target.close()

    assert target.dtype == "float32"
    assert one.prompt_tokens == len(CHATS[0]["input_ids"])
    assert all(0 < answer.tokens <= 12 for answer in (one, *many))
    assert [answer.prompt_tokens for answer in many] == [len(chat["input_ids"]) for chat in CHATS[:3]]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other CPUs have no AVX2")
def test_a_process_does_as_if_its_cpu_had_avx2_only() -> None:
    target = ProcessTarget(_find_vectors, AVX2_ONLY)
    target.close()

    assert target.dtype == "AVX2"
    assert not AVX2_ONLY.items() <= os.environ.items(), "they are that process's alone"


def test_a_target_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such folder"):
        ProcessTarget(_fail)


def test_the_thread_that_loads_has_ended() -> None:
    thread = in_ended_thread(threading.current_thread)

    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def _find_vectors() -> Loaded:
    return Loaded(EngineTarget(ScriptedEngine(lambda _: [])), torch.backends.cpu.get_cpu_capability())


def _fail() -> Loaded:
    raise RuntimeError("there is no such folder")
