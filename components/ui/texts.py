"""Every text that the page shows, in both languages."""

from dataclasses import dataclass
from typing import Literal

from components.engine.interface import Stage
from components.sampling.parameters import SamplingParams

Language = Literal["zh", "en"]

ErrorKind = Literal["prompt", "queue", "limit", "other"]

LANGUAGE_NAMES: dict[Language, str] = {"zh": "中文", "en": "EN"}


@dataclass(frozen=True)
class Texts:
    """The texts in one language. Names in braces are filled in with ``format``."""

    title: str
    tagline: str
    ask: str
    examples: tuple[str, ...]
    language: str
    new_chat: str
    sign_in: str
    sign_in_by_code: str
    sign_out: str
    sampling: str
    reset: str
    system: str
    system_help: str
    system_placeholder: str
    seed_placeholder: str
    labels: dict[str, str]
    help: dict[str, str]
    about: str
    demo: str
    loading: str
    stages: dict[Stage, str]
    load_failed: str
    load_again: str
    crashed: str
    thinking: str
    ahead: str
    seconds_left: str
    stop: str
    regenerate: str
    retry: str
    resume: str
    break_loop: str
    receipt: str
    receipt_help: str
    save: str
    replay: str
    replaying: str
    replay_same: str
    replay_differs: str
    replay_exact: str
    replay_inexact: str
    replay_impossible: str
    errors: dict[ErrorKind, str]
    stopped: str
    cut: str
    timed_out: str
    looped: str
    empty: str
    speed: str
    first_token: str
    tokens: str
    context: str
    forgotten_above: str
    forgotten: str


EN = Texts(
    title="Baichuan 2",
    tagline="What would you like to talk about?",
    ask="Ask anything",
    examples=(
        "Explain in simple words why the sky is blue",
        "Write a Python function that finds prime numbers, with a test",
        "Give me three ideas for a rainy weekend",
        "Translate into Chinese: Well begun is half done",
    ),
    language="Language",
    new_chat="New chat",
    sign_in="Sign in",
    sign_in_by_code="I have an access code",
    sign_out="Sign out",
    sampling="How replies are written",
    reset="Reset to defaults",
    system="System prompt",
    system_help="What the model is told before the conversation: who it is, how it should answer. "
    "It counts for the next question on.",
    system_placeholder="For example: You are a patient teacher. Answer briefly.",
    seed_placeholder="random",
    labels={
        "temperature": "Temperature",
        "top_p": "Top p",
        "top_k": "Top k",
        "max_new_tokens": "Longest reply (tokens)",
        "repetition_penalty": "Repetition penalty",
        "seed": "Seed",
    },
    help={
        name: field.description or ""
        for name, field in SamplingParams.model_fields.items()
        if field.json_schema_extra or name == "seed"
    },
    about="{model} · {device} · {dtype} · context {context:,} tokens",
    demo="**This is a small demo model** ({model}). It shows how the page works, speaks mostly English and is often "
    "wrong. For Baichuan 2, run `python download.py` and restart.",
    loading="The model is starting",
    stages={
        "libraries": "Step 1 of 3: loading the libraries",
        "weights": "Step 2 of 3: reading the weights",
        "warm_up": "Step 3 of 3: trying a first reply",
        "server": "Asking the server that runs the model",
    },
    load_failed="The model could not be loaded",
    load_again="Try again",
    crashed="Something went wrong on this page. Your conversation is kept: reload by sending a message or pressing a "
    "button. If it happens again, the server's log says why.",
    thinking="Thinking",
    ahead="Waiting: {ahead} before you",
    seconds_left=", about {seconds:.0f} s",
    stop="Stop",
    regenerate="Regenerate",
    retry="Try again",
    resume="Continue",
    break_loop="Try again with repetition penalty {penalty:g}",
    receipt="Receipt",
    receipt_help="What this reply came from, so that it can be written again.",
    save="Save",
    replay="Write it again and compare",
    replaying="Writing it again …",
    replay_same="The same {tokens} tokens again.",
    replay_differs="It differs from token {place} on:",
    replay_exact="A replay gives the same tokens on this machine, whoever else is served meanwhile.",
    replay_inexact="No seed was set, so faster kernels were allowed, which round differently. A replay may differ; "
    "set a seed for one that does not.",
    replay_impossible="There are no token ids, so there is nothing to compare a replay with.",
    errors={
        "prompt": "The model cannot take this message, most likely because it is too long. Shorten it, or choose a "
        "shorter longest reply in the sidebar.",
        "queue": "Too many people are waiting for the model right now. Please try again in a minute.",
        "limit": "You have reached what one visitor may use of this server for now. Your message is kept.",
        "other": "This reply did not work out. Please try again.",
    },
    stopped="stopped",
    cut="cut off at the longest reply set in the sidebar",
    timed_out="ended after the longest time that a reply may take",
    looped="stopped because it had begun to repeat itself",
    empty="The model had nothing to say.",
    speed="{speed:.1f} tokens/s",
    first_token="first token after {seconds:.1f} s",
    tokens="{tokens} tokens",
    context="context {used:,} of {length:,}",
    forgotten_above="The model no longer sees what is above this line",
    forgotten="This conversation is longer than the model can remember ({length:,} tokens with the reply). "
    "Its oldest part is left out from now on.",
)

ZH = Texts(
    title="百川 2",
    tagline="想聊点什么？",
    ask="请输入问题",
    examples=(
        "用简单的话解释天空为什么是蓝色的",
        "用 Python 写一个找质数的函数，并附上测试",
        "下雨的周末可以做些什么？给我三个主意",
        "把这句话译成英文：好的开始是成功的一半",
    ),
    language="语言",
    new_chat="新对话",
    sign_in="登录",
    sign_in_by_code="我有访问码",
    sign_out="退出登录",
    sampling="回答方式",
    reset="恢复默认值",
    system="系统提示词",
    system_help="对话开始之前告诉模型的话：它是谁、该怎样回答。从下一个问题起生效。",
    system_placeholder="例如：你是一位耐心的老师，请简短回答。",
    seed_placeholder="随机",
    labels={
        "temperature": "温度 temperature",
        "top_p": "核采样 top_p",
        "top_k": "候选数 top_k",
        "max_new_tokens": "最长回答（token 数）",
        "repetition_penalty": "重复惩罚 repetition_penalty",
        "seed": "随机种子 seed",
    },
    help={
        "temperature": "用词有多大胆。0 表示总选最可能的词；超过 1 会出人意料，再高就会语无伦次。",
        "top_p": "只保留概率加起来达到这个数的最可能的词，其余舍去。越低越稳妥，1 表示全部保留。",
        "top_k": "每一步只考虑最可能的这么多个词。0 表示不限。",
        "max_new_tokens": "一次回答最多多少个 token。一个 token 大约是一两个汉字，或四分之三个英文单词。"
        "这部分空间会预留出来，所以数值越大，留给历史对话的越少。",
        "repetition_penalty": "让已经出现过的词更不容易再出现。1 表示不起作用；回答总在兜圈子时可以略微调高。",
        "seed": "种子、参数和对话都相同时，回答也相同。留空则每次都不一样。",
    },
    about="{model} · {device} · {dtype} · 上下文 {context:,} token",
    demo="**这是一个小型演示模型**（{model}），只用来展示页面，主要会说英文，而且常常出错。"
    "要使用百川 2，请运行 `python download.py` 后重新启动。",
    loading="模型正在启动",
    stages={
        "libraries": "第 1 步，共 3 步：加载程序库",
        "weights": "第 2 步，共 3 步：读取模型权重",
        "warm_up": "第 3 步，共 3 步：试着回答一次",
        "server": "正在连接运行模型的服务器",
    },
    load_failed="模型加载失败",
    load_again="重试",
    crashed="页面出了点问题。对话内容没有丢失：发送一条消息或点一下按钮即可恢复。如果再次出现，请查看服务器日志。",
    thinking="思考中",
    ahead="排队中：前面还有 {ahead} 个回答",
    seconds_left="，大约 {seconds:.0f} 秒",
    stop="停止",
    regenerate="重新生成",
    retry="重试",
    resume="继续写",
    break_loop="把重复惩罚调到 {penalty:g} 再试",
    receipt="凭据",
    receipt_help="这条回答的来历，凭它可以原样重写一遍。",
    save="保存",
    replay="重写一遍并比较",
    replaying="正在重写……",
    replay_same="{tokens} 个 token 完全相同。",
    replay_differs="从第 {place} 个 token 起不同：",
    replay_exact="在这台机器上重写会得到相同的 token，与同时有谁在用无关。",
    replay_inexact="没有设置随机种子，因此用了更快、舍入方式不同的内核，重写可能不同；设置种子即可完全一致。",
    replay_impossible="没有 token 编号，无法与重写的结果比较。",
    errors={
        "prompt": "模型处理不了这条消息，多半是因为太长。请缩短消息，或在侧栏调低最长回答。",
        "queue": "现在排队的人太多了，请过一分钟再试。",
        "limit": "已达到每位访客目前可用的额度，消息已保留，请稍后重试。",
        "other": "这次回答没有成功，请重试。",
    },
    stopped="已停止",
    cut="达到侧栏所设的最长回答而中断",
    timed_out="达到单次回答的最长时间而中断",
    looped="开始不断重复，已停止",
    empty="模型没有给出内容。",
    speed="{speed:.1f} token/秒",
    first_token="首个 token {seconds:.1f} 秒",
    tokens="{tokens} token",
    context="上下文 {used:,} / {length:,}",
    forgotten_above="以上内容模型已经看不到了",
    forgotten="对话已超出模型能记住的长度（连同回答共 {length:,} token），从现在起最早的部分会被略去。",
)

TEXTS: dict[Language, Texts] = {"zh": ZH, "en": EN}
