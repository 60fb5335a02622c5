"""Baichuan 2's chat format as a Jinja template, for engines that know no other way to write a prompt.

It gives the same ids as ``BaichuanChatFormat`` but for one thing that no template can do: those engines parse control
tokens wherever they stand, so a reader who types ``<reserved_107>`` there forges a turn, whereas our chat format keeps
what people type as plain characters.
"""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- if not loop.first -%}{{- raise_exception('A system message may only come first.') -}}{%- endif -%}
    {%- elif message['role'] == 'user' -%}
        {{- 'USER_TOKEN' -}}
    {%- elif message['role'] == 'assistant' -%}
        {{- 'ASSISTANT_TOKEN' -}}
    {%- else -%}
        {{- raise_exception('The role must be system, user or assistant.') -}}
    {%- endif -%}
    {{- message['content'] -}}
{%- endfor -%}
{%- if add_generation_prompt and messages[-1]['role'] != 'assistant' -%}
    {{- 'ASSISTANT_TOKEN' -}}
{%- endif -%}"""


def chat_template(user_token: str, assistant_token: str) -> str:
    """The template with these role tokens. A last assistant message is continued, as in the published code."""
    return CHAT_TEMPLATE.replace("USER_TOKEN", user_token).replace("ASSISTANT_TOKEN", assistant_token)
