"""``/v1/models``."""

import openai
import pytest


def test_the_model_that_runs_is_the_one_listed(client: openai.OpenAI) -> None:
    [model] = client.models.list().data

    assert model.id == "baichuan2-7b-tiny"
    assert model.object == "model"
    assert model.to_dict()["max_model_len"] == 256
    assert client.models.retrieve(model.id) == model


@pytest.mark.parametrize("name", ["gpt-4o", "baichuan-inc/Baichuan2-7B-Chat", "长" * 300])
def test_another_model_is_not_found_and_the_right_one_named(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError, match="baichuan2-7b-tiny") as of_models:
        client.models.retrieve(name)
    with pytest.raises(openai.NotFoundError, match="baichuan2-7b-tiny") as of_chat:
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "hi"}])

    assert of_models.value.code == of_chat.value.code == "model_not_found"
    assert of_chat.value.param == "model"
