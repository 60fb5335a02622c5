"""How vLLM is called, and what its log says when it fails."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.engine.errors import EngineError
from components.engine.sidecar.process import Endpoint, Launch
from components.engine.sidecar.vllm.command import launch_of
from components.engine.sidecar.vllm.environment import Program
from components.engine.sidecar.vllm.failures import advise, quote
from components.engine.sidecar.vllm.gpus import Gpu, card_of
from components.settings import Settings, SettingsError, get_settings

FREE = Gpu("NVIDIA A100", 40960, 40700, "GPU-1234abcd")
SHARED = Gpu("NVIDIA A100", 40960, 20480, "GPU-12345678")
SMALL = Gpu("NVIDIA T4", 15360, 7680, "GPU-abcdef00")


def launch(*gpus: Gpu, environment: Mapping[str, str] | None = None, **options: Any) -> Launch:
    program = Program(("/opt/vllm/bin/vllm",), Path("/opt/vllm/bin"))
    settings = Settings(**options)
    card = card_of(settings.device, gpus, environment or {})
    return launch_of(program, Path("/models/Llama"), "Baichuan2", Endpoint.new(), settings, card)


def option(launch: Launch, name: str) -> str | None:
    arguments = list(launch.arguments)
    return arguments[arguments.index(name) + 1] if name in arguments else None


def test_a_free_card_is_vllms_to_fill() -> None:
    started = launch(FREE, max_batch=256, dtype="bfloat16")

    assert started.arguments[:3] == ["/opt/vllm/bin/vllm", "serve", "/models/Llama"]
    assert option(started, "--host") == "127.0.0.1"
    assert option(started, "--dtype") == "bfloat16"
    assert option(started, "--max-num-seqs") == "256"
    assert option(started, "--gpu-memory-utilization") is None
    assert "CUDA_VISIBLE_DEVICES" not in started.environment


def test_of_a_card_that_others_use_it_gets_what_is_free() -> None:
    assert option(launch(SHARED), "--gpu-memory-utilization") == "0.47"


def test_memory_that_was_asked_for_is_what_it_gets() -> None:
    started = launch(SHARED, cache_gb=6.5)

    assert option(started, "--kv-cache-memory-bytes") == "6500000000"
    assert option(started, "--gpu-memory-utilization") is None


def test_the_card_that_was_asked_for_is_the_only_one_it_sees() -> None:
    started = launch(FREE, SHARED, device="cuda:1")

    assert started.environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert option(started, "--gpu-memory-utilization") == "0.47"


@pytest.mark.parametrize("visible", ["3", "3,0", " 3 , 1", "GPU-12345678", "GPU-12345678-0000,0"])
def test_the_first_card_that_is_left_is_measured(visible: str) -> None:
    last = replace(SHARED, uuid="GPU-12345678-0000")
    started = launch(FREE, FREE, FREE, last, environment={"CUDA_VISIBLE_DEVICES": visible})

    assert option(started, "--gpu-memory-utilization") == "0.47"
    assert "CUDA_VISIBLE_DEVICES" not in started.environment


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [("2,3", "3"), ("3,1", "1"), ("GPU-1234abcd,GPU-12345678", "GPU-12345678"), ("0,MIG-1234", "MIG-1234")],
)
def test_the_card_that_was_asked_for_is_one_of_those_that_are_left(visible: str, chosen: str) -> None:
    gpus = [FREE, SHARED, FREE, replace(SHARED, uuid="GPU-99999999")]
    started = launch(*gpus, device="cuda:1", environment={"CUDA_VISIBLE_DEVICES": visible})

    assert started.environment["CUDA_VISIBLE_DEVICES"] == chosen
    measured = not chosen.startswith("MIG")  # of a part of a card nobody tells what is free

    assert option(started, "--gpu-memory-utilization") == ("0.47" if measured else None)


@pytest.mark.parametrize(
    ("visible", "device", "said"),
    [
        ("2,3", "cuda:2", "CUDA_VISIBLE_DEVICES=2,3 leaves 2 of this machine's cards"),
        ("2,9,3", "cuda:1", "leaves 1 of"),  # CUDA reads no further than to the first that is not there
        ("-1", "cuda:0", "leaves 0 of"),
        ("", "cuda:0", "leaves 0 of"),
        (None, "cuda:4", "nvidia-smi shows 4 of"),
    ],
)
def test_a_card_that_is_not_there_is_said(visible: str | None, device: str, said: str) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}

    with pytest.raises(EngineError, match=said) as caught:
        launch(FREE, FREE, FREE, FREE, device=device, environment=environment)
    assert str(caught.value).startswith(f"BAICHUAN_DEVICE={device} is not there: ")


def test_without_a_driver_to_ask_the_card_that_was_asked_for_is_taken_all_the_same() -> None:
    assert launch(device="cuda:1").environment["CUDA_VISIBLE_DEVICES"] == "1"
    hidden = {"CUDA_VISIBLE_DEVICES": "4,5"}
    assert launch(device="cuda:1", environment=hidden).environment["CUDA_VISIBLE_DEVICES"] == "5"


def test_cards_are_counted_as_they_are_measured() -> None:
    for device in (None, "cuda:1"):
        assert launch(SMALL, FREE, device=device).environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_DEVICE_ORDER" not in launch().environment


def test_an_order_that_was_set_is_kept_and_different_cards_are_not_mistaken_for_each_other() -> None:
    environment = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    mixed = launch(SMALL, FREE, environment=environment)
    alike = launch(SHARED, SHARED, environment=environment)

    assert "CUDA_DEVICE_ORDER" not in mixed.environment
    assert option(mixed, "--gpu-memory-utilization") is None
    assert option(alike, "--gpu-memory-utilization") == "0.47"


def test_the_key_is_no_argument_and_nobody_is_told_of_use() -> None:
    started = launch()

    assert started.environment["VLLM_API_KEY"] not in " ".join(started.arguments)
    assert started.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_more_options_come_last_and_so_count() -> None:
    started = launch(vllm_options="--tensor-parallel-size 2 --max-model-len 2048 --name 'a b'")

    assert started.arguments[-6:] == ["--tensor-parallel-size", "2", "--max-model-len", "2048", "--name", "a b"]


def test_options_that_no_shell_could_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAICHUAN_VLLM_OPTIONS", "--name 'a b")
    get_settings.cache_clear()
    try:
        with pytest.raises(
            SettingsError, match=r"BAICHUAN_VLLM_OPTIONS.*cannot be read as options: No closing quotation"
        ):
            get_settings()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


# What vLLM 0.32 really said, cut to what matters.
TOO_LONG = """\
(APIServer pid=25483) INFO 11-26 15:24:57 [model.py:733] Resolved architecture: LlamaForCausalLM
Traceback (most recent call last):
  File "/opt/vllm/bin/vllm", line 8, in <module>
    sys.exit(main())
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, User-specified max_model_len (999999) is greater than the derived max_model_len \
(max_position_embeddings=8192.0) [type=value_error, input_value=ArgsKwargs((), {}), input_type=ArgsKwargs]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error"""
UNKNOWN_OPTION = """\
usage: vllm [-h] [-v]
vllm: error: unrecognized arguments: --nonsense 3"""
NO_MEMORY = """\
(EngineCore pid=7) ERROR 11-26 15:30:01 [core.py:1100] EngineCore failed to start.
(EngineCore pid=7) ERROR 11-26 15:30:01 [core.py:1100] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-26 15:30:01 [core.py:1100] ValueError: Free memory on device cuda:0 (10.1/23.6 GiB) on \
startup is less than desired GPU memory utilization (0.92, 21.7 GiB). Decrease GPU memory utilization.
Traceback (most recent call last):
  File "/opt/vllm/bin/vllm", line 8, in <module>
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"""
OLD_CARD = """\
(EngineCore pid=7) ERROR 11-26 15:30:01 [core.py:1100] ValueError: Bfloat16 is only supported on GPUs with compute \
capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5."""
CUSTOM_CODE = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, The repository /models/x contains custom code which must be executed to correctly load the model."""


@pytest.mark.parametrize(
    ("log", "said", "cure"),
    [
        (TOO_LONG, "Value error, User-specified max_model_len (999999) is greater", "Its log"),
        (
            UNKNOWN_OPTION,
            "It says: vllm: error: unrecognized arguments: --nonsense 3.",
            "Correct BAICHUAN_VLLM_OPTIONS",
        ),
        (NO_MEMORY, "It says: ValueError: Free memory on device cuda:0", "nvidia-smi"),
        (OLD_CARD, "It says: ValueError: Bfloat16 is only supported", "Set BAICHUAN_DTYPE=float16"),
        (CUSTOM_CODE, "contains custom code", "Leave BAICHUAN_ENGINE out"),
        ("Killed", "Its last lines: Killed.", "Its log"),
        ("", "", "Its log"),
    ],
    ids=["too-long", "unknown-option", "no-memory", "old-card", "custom-code", "killed", "silent"],
)
def test_of_hundreds_of_lines_the_cause_is_told_and_what_to_do(log: str, said: str, cure: str) -> None:
    lines = log.splitlines()

    assert said in quote(lines)
    assert "input_value" not in quote(lines)
    assert cure in advise(lines)
