"""A reply with a JSON schema is whole JSON that follows it, or fails and says why: never something between."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from components.sampling.choosing import SampledToken, choose
from components.sampling.errors import SamplingError
from components.sampling.forms import lark_of, with_plain_hyphens
from components.sampling.grammar import Grammar, GrammarError, Grammars
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler

UNKNOWN = 100
"""Tokens that the model has and the tokenizer does not know."""

ANYTHING = {"anyOf": [{"type": "string"}, {"type": "integer"}]}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "maxLength": 3}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}
    return schema


def branching(depth: int, width: int) -> dict[str, Any]:
    if not depth:
        return {"type": "boolean"}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {f"k{branch}": branching(depth - 1, width)},
                "required": [f"k{branch}"],
                "additionalProperties": False,
            }
            for branch in range(width)
        ]
    }


def pattern(expression: str) -> dict[str, Any]:
    return {"type": "string", "pattern": expression}


SCHEMAS: dict[str, dict[str, Any]] = {
    "nested": nested(30),
    "nested deeper": nested(60),
    "a thousand values": {"enum": [f"值{7919 * number % 10007}" for number in range(1000)]},
    "five thousand values": {"enum": [f"v{number}" for number in range(5000)]},
    "long text": {"type": "string", "minLength": 200_000, "maxLength": 1_000_000},
    "many items": {"type": "array", "items": {"type": "integer"}, "minItems": 100_000},
    "ambiguous pattern": pattern("^(a|aa)+$"),
    "ambiguous stars": pattern("^(.*a){30}$"),
    "counted optionals": pattern("^(a?){200}a{200}$"),
    "remembering pattern": pattern("^.*a.{18}$"),
    "many counted alternatives": pattern("^(" + "|".join(f"[a-z]{{0,{n}}}x{n}" for n in range(1, 2000)) + ")$"),
    "letters and counts": pattern(r"^(\p{L}{1,100}[^a]{5,300}){5,200}$"),
    "alternatives within alternatives": branching(4, 4),
    "ambiguous arrays": {"type": "array", "items": {"anyOf": [{"type": "array", "items": ANYTHING}, ANYTHING]}},
    "500 optional properties": {
        "type": "object",
        "properties": {f"p{number}": {"type": "string", "maxLength": 2} for number in range(500)},
        "additionalProperties": False,
    },
    "recursive and ambiguous": {
        "$defs": {
            "n": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 2},
                    {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}, "maxItems": 2},
                ]
            }
        },
        "$ref": "#/$defs/n",
    },
}


@pytest.fixture(scope="module")
def tokenizer(demo_model: Path) -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(demo_model)
    return loaded


@pytest.fixture(scope="module")
def grammars(tokenizer: PreTrainedTokenizerBase) -> Grammars:
    return Grammars(tokenizer, len(tokenizer) + UNKNOWN, [tokenizer.eos_token_id])


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> int:
    return len(tokenizer) + UNKNOWN


def write(
    tokenizer: PreTrainedTokenizerBase, grammar: Grammar, seed: int, most: int = 60
) -> tuple[str, str, SamplingError | None]:
    """Write a reply of random tokens, as an engine does; return its text, why it ended, and what failed."""
    vocabulary = vocabulary_of(tokenizer)
    sampling = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
    sampler = Sampler(sampling, [], seed, grammar)
    random = torch.Generator().manual_seed(seed)
    tokens: list[int] = []
    while len(tokens) < most:
        (outcome,) = choose(torch.randn(1, vocabulary, generator=random) * 2, [sampler])
        if isinstance(outcome, SamplingError):
            return tokenizer.decode(tokens), "error", outcome
        if outcome.token == tokenizer.eos_token_id:
            return tokenizer.decode(tokens), "stop", None
        tokens.append(outcome.token)
        try:
            sampler.note(outcome.token)
        except SamplingError as error:
            return tokenizer.decode(tokens), "error", error
        if sampler.complete:
            return tokenizer.decode(tokens), "stop", None
    return tokenizer.decode(tokens), "length", None


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_reply_that_stops_is_whole_json(tokenizer: PreTrainedTokenizerBase, grammars: Grammars, name: str) -> None:
    text, reason, error = write(tokenizer, grammars.compile(json.dumps(SCHEMAS[name])), seed=len(name))

    if reason == "stop":
        json.loads(text)
    elif error is not None:
        assert "schema" in str(error)
        assert "too complex" in str(error)


@pytest.mark.parametrize("name", ["many counted alternatives", "letters and counts"])
def test_a_schema_that_is_too_complex_fails_the_reply_and_goes_on_failing(
    tokenizer: PreTrainedTokenizerBase, grammars: Grammars, name: str
) -> None:
    grammar = grammars.compile(json.dumps(SCHEMAS[name]))
    _, reason, _ = write(tokenizer, grammar, seed=1)

    assert reason == "error"
    assert not grammar.complete
    for _ in range(2):
        with pytest.raises(SamplingError, match="too complex"):
            grammar.allowed(vocabulary_of(tokenizer))


def test_500_optional_properties_are_no_problem(tokenizer: PreTrainedTokenizerBase, grammars: Grammars) -> None:
    _, reason, _ = write(tokenizer, grammars.compile(json.dumps(SCHEMAS["500 optional properties"])), seed=3)

    assert reason in ("stop", "length")


def test_the_end_and_unknown_tokens_come_only_where_they_may(
    tokenizer: PreTrainedTokenizerBase, grammars: Grammars
) -> None:
    grammar = grammars.compile('{"type": "integer"}')
    allowed = []
    for token in [None, *tokenizer.encode("12", add_special_tokens=False)]:
        if token is not None:
            grammar.note(token)
        allowed.append(grammar.allowed(vocabulary_of(tokenizer)))

    assert [bool(one[tokenizer.eos_token_id]) for one in allowed] == [False, True, True]
    assert not any(one[len(tokenizer) :].any() for one in allowed)
    specials = np.array([token for token in tokenizer.all_special_ids if token != tokenizer.eos_token_id])
    assert not any(one[specials].any() for one in allowed)


def test_a_token_that_does_not_follow_fails_without_being_noted(
    tokenizer: PreTrainedTokenizerBase, grammars: Grammars
) -> None:
    sampling = SamplingParams(repetition_penalty=1.5)
    sampler = Sampler(sampling, [], 1, grammars.compile('{"type": "integer"}'))
    before = sampler.uniform()
    with pytest.raises(SamplingError):
        sampler.note(tokenizer.encode("x", add_special_tokens=False)[0])

    assert sampler.uniform() == before
    assert sampler.occurrences is not None
    assert not len(sampler.occurrences.ids)
    assert not sampler.complete


def test_a_failing_grammar_harms_no_other_sequence(tokenizer: PreTrainedTokenizerBase, grammars: Grammars) -> None:
    broken = grammars.compile(json.dumps(SCHEMAS["letters and counts"]))
    write(tokenizer, broken, seed=1)
    samplers = [
        Sampler(SamplingParams(), [], seed, grammar)
        for seed, grammar in enumerate([broken, None, grammars.compile('{"type": "integer"}')])
    ]
    failed, free, bound = choose(torch.randn(3, vocabulary_of(tokenizer)), samplers)

    assert isinstance(failed, SamplingError)
    assert isinstance(free, SampledToken)
    assert isinstance(bound, SampledToken)
    assert tokenizer.decode([bound.token]).strip("-").isdigit() or tokenizer.decode([bound.token]) == "-"


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "[]",
        '{"type": "wizard"}',
        '{"type": "string", "pattern": "("}',
        json.dumps(nested(300)),
        json.dumps({"allOf": [branching(1, 8) for _ in range(8)]}),
        json.dumps(pattern("^(?!no).*$")),
    ],
    ids=["no JSON", "list", "unknown type", "bad pattern", "too deep", "too many alternatives", "lookahead"],
)
def test_a_schema_that_cannot_be_used_is_refused_and_says_why(grammars: Grammars, schema: str) -> None:
    with pytest.raises(GrammarError, match="JSON schema cannot be"):
        grammars.compile(schema)


@pytest.mark.parametrize(
    ("regex", "fits", "others"),
    [
        (r"^\d$", "059", "١０🯸a"),
        (r"[\d.]", "0.", "١a"),
        (r"[^\d]", "a١城", "0"),
        (r"\D", "a١城", "0"),
        (r"[\D]", "a١城", "0"),
        (r"\w", "a_0", "é城١ -"),
        (r"[\w-]", "a-", "é城"),
        (r"\W", "é城-", "a0"),
        (r"\s", " \n\u3000", "a"),
        (r"[\\d]", "d\\", "0"),
        (r"\\?d", "d", "0"),
        (r"\p{Nd}", "0١", "a"),
        (r"/", "/", "a"),
        (r"[+-\d]", "+-05", "A],"),
        (r"[.-\w]", ".-a_0", "/]"),
        (r"[/-\d]", "/-0", ".]"),
        (r"[,-\s]", ",- ", "+]"),
        (r"[\s-.]", " -.", "+]"),
        (r"[\d-x]", "0-x", "w]"),
        (r"[\w-.]", "a-.", "+]"),
        (r"[a-\d-z]", "a0-z", "bm"),
        (r"[^+-\d]", "a,]", "+-0"),
        (r"[^-\D]", "09", "-a"),
        (r"[]-\d]", "]-0", "^a"),
        (r"[\]-\d]", "]-0", "^a"),
        (r"[+\-\d]", "+-0", ",\\"),
        (r"[\w--\d]", "a_", "0-"),
        (r"[+-\\d]", "+,d0", "]"),
        (r"(?:[a]|-\d?)", "a-", "0\\"),
    ],
)
def test_classes_of_a_regular_expression_mean_what_they_mean_in_a_schema(regex: str, fits: str, others: str) -> None:
    lark = lark_of(SamplingParams(regex=regex))
    assert lark is not None
    schema = json.dumps({"type": "string", "pattern": f"^(?:{with_plain_hyphens(regex).strip('^$')})$"})

    for text in fits + others:
        assert follows(LLMatcher.grammar_from_lark(lark), text) == (text in fits), text
        if text not in "\n\\":
            assert follows(LLMatcher.grammar_from_json_schema(schema), f'"{text}"') == (text in fits), text


def follows(grammar: str, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    return bool(matcher.consume_tokens(list(text.encode())) and matcher.is_accepting())
