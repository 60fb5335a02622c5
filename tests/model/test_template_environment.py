"""Chat templates of GGUF files are rendered as transformers renders them, without it."""

from typing import Any

import pytest
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from components.model.template_environment import compiled

MESSAGES = [{"role": "user", "content": "Is 1 < 2 & 'so'? 你好"}, {"role": "assistant", "content": "Yes."}]

TEMPLATES = {
    "a date": '{% set today = strftime_now("%Y-%m-%d") %}{{ today }}{{ messages[0].content }}',
    "what is learnt": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}",
    "JSON": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ messages[0] | tojson(sort_keys=true) }}",
    "a namespace": "{% set n = namespace(found=false, self=1) %}{% set n.found = true %}{{ n.found }}{{ n.self }}",
    "a dictionary": "{{ dict(a=1) | tojson }}{{ dict.fromkeys(['a'], 2) | tojson }}",
    "loops": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "blocks": "  {%- for m in messages %}\n    {{ m.role }}\n  {% endfor %}\n  end",
}


def rendered(template: str, **values: Any) -> str:
    return compiled(template).render(messages=MESSAGES, **values)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_says_what_it_says_there(name: str) -> None:
    [wanted], _ = render_jinja_template([MESSAGES], chat_template=TEMPLATES[name])

    assert rendered(TEMPLATES[name]) == wanted


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('No system message.') }}",
        "{% generation %}never ended",
        "{{ messages.append(1) }}",
        "{{ dict.__class__.__mro__ }}",
        "{{ dict.__init__.__globals__ }}",
        "{% set n = namespace(__class__=1) %}",
        "{% set n = namespace() %}{% set n._x = 1 %}",
        "{{ ''.__class__.__mro__ }}{{ cycler.__init__.__globals__.os.system('id') }}",
        "{{ strftime_now.__globals__.json }}",
    ],
)
def test_a_template_that_refuses_or_wants_out_is_stopped(template: str) -> None:
    with pytest.raises(TemplateError):
        rendered(template)
