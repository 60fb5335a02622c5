"""lm-evaluation-harness, which scores answers by ``echo`` and ``logprobs``, on a small task of our own."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from components.model.loading import load_model
from tests.clients.conftest import run
from tests.server import ROOT, running_server

TASKS = ROOT / "tests" / "fixtures" / "lm_eval"
DOCUMENTS = [json.loads(line) for line in (TASKS / "rivers.jsonl").read_text(encoding="utf-8").splitlines()]
LONGEST = 12

Plain = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def server(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with the demo model in float32, to compare its numbers."""
    folder = tmp_path_factory.mktemp("lm_eval")
    env = {"BAICHUAN_MODEL": str(demo_model), "BAICHUAN_DTYPE": "float32", "BAICHUAN_QUANTIZE": "none"}
    with running_server(folder / "log.txt", env) as address:
        yield address


@dataclass(frozen=True)
class Wanted:
    """Of a document, by a plain forward pass: how likely each choice is, and whether it is greedy; and a text."""

    choices: list[tuple[float, bool]]
    written: str


@pytest.fixture(scope="module")
def wanted(demo_model: Path) -> list[Wanted]:
    """Of each document, by the same model without an engine."""
    plain = load_model(demo_model, dtype=torch.float32, device="cpu", quantize="none")
    questions = [f"Question: {document['question']}\nAnswer:" for document in DOCUMENTS]
    return [
        Wanted([score(plain, question, choice) for choice in document["choices"]], write(plain, question))
        for document, question in zip(DOCUMENTS, questions, strict=True)
    ]


@torch.inference_mode()
def logprobs_of(model: PreTrainedModel, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([tokens]), use_cache=False).logits[0].float()
    return logits.log_softmax(dim=-1)


def score(plain: Plain, question: str, choice: str) -> tuple[float, bool]:
    """How likely a choice is behind a question, and whether it is what the model would have written itself."""
    model, tokenizer = plain
    context = tokenizer(question, add_special_tokens=False)["input_ids"]
    tokens = tokenizer(f"{question} {choice}", add_special_tokens=False)["input_ids"]
    logprobs = logprobs_of(model, tokens)
    behind = [(logprobs[place - 1], tokens[place]) for place in range(len(context), len(tokens))]
    likelihood = sum(float(row[token]) for row, token in behind)
    return likelihood, all(int(row.argmax()) == token for row, token in behind)


def write(plain: Plain, question: str) -> str:
    model, tokenizer = plain
    tokens = tokenizer(question, add_special_tokens=False)["input_ids"]
    prompt = len(tokens)
    for _ in range(LONGEST):
        token = int(logprobs_of(model, tokens)[-1].argmax())
        if token == tokenizer.eos_token_id:
            break
        tokens.append(token)
    text = str(tokenizer.decode(tokens[prompt:]))
    return text.split("\n")[0].split("Question:")[0]


@pytest.mark.parametrize(("tokenized", "concurrent", "batch"), [(False, 4, 1), (True, 1, 3)])
def test_an_evaluation_says_what_a_plain_forward_pass_says(
    server: str, demo_model: Path, wanted: list[Wanted], tmp_path: Path, tokenized: bool, concurrent: int, batch: int
) -> None:
    options = {
        "model": "default",
        "base_url": f"{server}/v1/completions",
        "tokenizer": demo_model,
        "tokenized_requests": tokenized,
        "num_concurrent": concurrent,
    }
    run(
        "lm-eval",
        "run",
        "--model=local-completions",
        "--model_args=" + ",".join(f"{name}={value}" for name, value in options.items()),
        f"--batch_size={batch}",
        "--tasks=rivers,rivers_written",
        f"--include_path={TASKS}",
        f"--output_path={tmp_path}",
        "--log_samples",
        HF_HOME=str(tmp_path / "cache"),
    )

    [results] = [json.loads(path.read_text()) for path in tmp_path.rglob("results_*.json")]
    chosen, written = (samples_of(tmp_path, task) for task in ("rivers", "rivers_written"))
    right = 0
    for document, plain, sample, words in zip(DOCUMENTS, wanted, chosen, written, strict=True):
        likely = [likelihood for likelihood, _ in plain.choices]
        told = [(float(likelihood), greedy == "True") for [[likelihood, greedy]] in sample["resps"]]
        assert [likelihood for likelihood, _ in told] == pytest.approx(likely, abs=1e-3)
        assert [greedy for _, greedy in told] == [greedy for _, greedy in plain.choices]
        right += likely.index(max(likely)) == document["answer"]
        assert words["resps"] == [[plain.written]]
    assert results["results"]["rivers"]["acc,none"] == right / len(DOCUMENTS)
    assert 0 < right < len(DOCUMENTS), "a result that says something"


def samples_of(folder: Path, task: str) -> list[dict[str, Any]]:
    [path] = folder.rglob(f"samples_{task}_2*.jsonl")
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(samples, key=lambda sample: int(sample["doc_id"]))
