"""The page as the pictures of the README show it: the application's own, over an engine that recites."""

import time
from collections.abc import Iterator
from dataclasses import replace

import streamlit as st

from components.api.middleware import build_middleware
from components.engine import host
from components.engine.interface import GenerationRequest
from components.sampling.parameters import SamplingParams
from tests.scripted_engine import INFO, ScriptedEngine

DEFAULTS = SamplingParams(temperature=0.3, top_p=0.85, top_k=5, repetition_penalty=1.05, max_new_tokens=1024)
"""Baichuan 2's own, but for the longest reply."""

TOKENS_PER_SECOND = 40

CODE = """
```python
def primes(limit: int) -> list[int]:
    is_prime = [False, False] + [True] * (limit - 1)
    for n in range(2, int(limit**0.5) + 1):
        if is_prime[n]:
            is_prime[n * n :: n] = [False] * len(is_prime[n * n :: n])
    return [n for n, prime in enumerate(is_prime) if prime]

assert primes(20) == [2, 3, 5, 7, 11, 13, 17, 19]
```
"""

REPLIES = {
    "Which primes are below 20, and how does one find all of them up to a limit?": f"""\
**2, 3, 5, 7, 11, 13, 17 and 19.** For all primes up to $n$, cross out the multiples of each prime in turn: \
the sieve of Eratosthenes, in about $n \\log \\log n$ steps.
{CODE}""",
    "How many are there up to 1,000?": """\
There are 168. How they thin out:

| up to | primes | of all numbers |
|------:|-------:|---------------:|
| 10 | 4 | 40 % |
| 100 | 25 | 25 % |
| 1,000 | 168 | 17 % |
""",
    "What is the difference between a list and a tuple?": "A list can be changed, a tuple cannot.",
    "Translate into Chinese: a good beginning is half the battle": "好的开始是成功的一半。",
    "20 以内有哪些质数？怎样找出不超过某个数的所有质数？": f"""\
**2、3、5、7、11、13、17、19。** 要找出不超过 $n$ 的所有质数，可以依次划去每个质数的倍数，这就是埃拉托斯特尼筛法，\
大约需要 $n \\log \\log n$ 步。
{CODE}""",
    "1000 以内有多少个？": """\
共有 168 个，越往后越稀疏：

| 不超过 | 质数个数 | 所占比例 |
|------:|-------:|-------:|
| 10 | 4 | 40% |
| 100 | 25 | 25% |
| 1000 | 168 | 17% |
""",
    "列表和元组有什么区别？": "列表可以修改，元组不能修改。",
    "把这句话译成英文：好的开始是成功的一半": "Well begun is half done.",
}
"""What is said to each question."""


def recite(request: GenerationRequest) -> Iterator[str]:
    """Answer the newest question."""
    text = REPLIES[request.messages[-1]["content"]]
    for start in range(0, len(text), 4):
        time.sleep(1 / TOKENS_PER_SECOND)
        yield text[start : start + 4]


class RecitingHost:
    """Stands in for the engine host."""

    state = host.Ready(
        ScriptedEngine(
            recite, replace(INFO, model="Baichuan2-7B-Chat", device="cuda", context_length=4096, defaults=DEFAULTS)
        ),
        1.0,
    )
    recorder = None


setattr(host, "engine_host", RecitingHost)  # noqa: B010

# Streamlit finds the application only when it is made right here. The middleware gives the browser its name.
app = st.App("../components/ui/page.py", middleware=build_middleware())
