import pytest

from components.ui.markdown.blocks import lines_with_code_flag, split_blocks

REPLY = r"""# A heading
A paragraph, **bold**,
in two lines.
- a list
- of two

  with a second paragraph

  ```python
  code = 1

  more = 2
  ```

1. another list

2. of two

After the list.
```
open

    ``` not yet
closed
```
\[
a

b
\]

$$
x

y
$$

| a | b |
|---|---|
| 1 | 2 |

~~~
``` inside ~~~
~~~
> a quote
> of two lines

**Bold** ends it: `code`."""


def test_blocks_are_what_a_reader_would_call_so() -> None:
    blocks = [block.strip().split("\n")[0] for block in split_blocks(REPLY)]
    assert blocks == [
        "# A heading",
        "A paragraph, **bold**,",
        "- a list",
        "After the list.",
        "```",
        r"\[",
        "$$",
        "| a | b |",
        "~~~",
        "> a quote",
        "**Bold** ends it: `code`.",
    ]


def test_joined_they_are_the_text() -> None:
    assert "".join(split_blocks(REPLY)) == REPLY


def test_a_finished_block_never_changes() -> None:
    blocks = split_blocks(REPLY)
    for length in range(1, len(REPLY) + 1):
        so_far = split_blocks(REPLY[:length])
        assert "".join(so_far) == REPLY[:length]
        assert so_far[:-1] == blocks[: len(so_far) - 1]


@pytest.mark.parametrize(
    "text",
    [
        "```python\na\n\nb\n",
        "````\n```\n\n```\n",
        "- a\n\n- b\n\n  c\n",
        "1. a\n\n   ```\n   x\n\n   y\n   ```\n2. b\n",
        "| a |\n|---|\n| 1 |\n",
        "$$\na\n\nb\n$$\n",
        "so \\[\na\n\nb\n\\]\n",
        "a\nb\n",
    ],
)
def test_what_belongs_together_is_not_cut(text: str) -> None:
    assert split_blocks(text) == [text]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("a\n\nb", ["a\n\n", "b"]),
        ("a\n\n\n\nb", ["a\n\n\n\n", "b"]),
        ("Steps:\n1. a\n2. b", ["Steps:\n", "1. a\n2. b"]),
        ("- a\n\nb", ["- a\n\n", "b"]),
        ("- a\n```\nx\n```\n", ["- a\n", "```\nx\n```\n"]),
        ("in 1985. Then\n\n10 days", ["in 1985. Then\n\n", "10 days"]),
        ("```one line``` of code\n\nb", ["```one line``` of code\n\n", "b"]),
        ("a \\\\[2pt] b\n\nc", ["a \\\\[2pt] b\n\n", "c"]),
        ("it costs $$ a lot\n\nb", ["it costs $$ a lot\n\n", "b"]),
        ("", []),
    ],
)
def test_what_stands_apart_is_cut(text: str, blocks: list[str]) -> None:
    assert split_blocks(text) == blocks


def test_only_fenced_lines_are_code() -> None:
    flags = [is_code for _, is_code in lines_with_code_flag("a\n```\nb\n```\nc `d`\n")]
    assert flags == [False, True, True, True, False]
