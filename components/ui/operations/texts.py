"""The texts of the operations page, in both languages."""

from dataclasses import dataclass

from components.ui.texts import Language


@dataclass(frozen=True)
class OperationsTexts:
    """The texts in one language. Names in braces are filled in with ``format``."""

    title: str
    about: str
    not_owner: str
    nothing_yet: str
    writing: str
    waiting: str
    tokens_per_second: str
    first_token: str
    cache: str
    memory: str
    last_half_hour: str
    tokens: str
    tokens_in: str
    tokens_out: str
    replies: str
    times: str
    between_tokens: str
    cache_tokens: str
    used: str
    idle: str
    reused: str
    requests: str
    all_requests: str
    errors: str
    running: str
    nobody: str
    row: str
    in_line: str
    written: str
    cancel: str
    origins: dict[str, str]


EN = OperationsTexts(
    title="Operations",
    about="{model} · {device} · {dtype} · {engine}",
    not_owner="This page is for the owner of the server. Sign in with the owner's code.",
    nothing_yet="The first figures come a few seconds after the model is ready.",
    writing="Writing",
    waiting="Waiting",
    tokens_per_second="Tokens/s",
    first_token="First token",
    cache="Cache",
    memory="Memory",
    last_half_hour="The last half hour",
    tokens="Tokens per second",
    tokens_in="read",
    tokens_out="written",
    replies="Replies",
    times="Seconds until the first token, and between tokens",
    between_tokens="Between tokens",
    cache_tokens="Cache, in tokens",
    used="in use",
    idle="kept for later",
    reused="Part of the prompts that was known already, in %",
    requests="Requests per minute",
    all_requests="all",
    errors="failed or refused",
    running="Under way",
    nobody="Nobody is being served right now.",
    row="**{origin}** {visitor} · {state} · {seconds:.0f} s",
    in_line="{ahead} before it",
    written="{tokens} tokens",
    cancel="Cancel",
    origins={"page": "Page", "tutorial": "POST /", "v1": "/v1", "own": "Server"},
)

ZH = OperationsTexts(
    title="运行状况",
    about="{model} · {device} · {dtype} · {engine}",
    not_owner="此页面仅供服务器的主人查看，请用主人的访问码登录。",
    nothing_yet="模型就绪几秒后会有第一批数据。",
    writing="正在写",
    waiting="排队",
    tokens_per_second="token/秒",
    first_token="首个 token",
    cache="缓存",
    memory="内存",
    last_half_hour="最近半小时",
    tokens="每秒 token 数",
    tokens_in="读入",
    tokens_out="写出",
    replies="回答数",
    times="等待首个 token 与 token 间隔的秒数",
    between_tokens="token 间隔",
    cache_tokens="缓存（token）",
    used="使用中",
    idle="留待复用",
    reused="提示词中已知部分所占的百分比",
    requests="每分钟请求数",
    all_requests="全部",
    errors="失败或被拒绝",
    running="进行中",
    nobody="现在没有人在使用。",
    row="**{origin}** {visitor} · {state} · {seconds:.0f} 秒",
    in_line="前面还有 {ahead} 个",
    written="{tokens} token",
    cancel="取消",
    origins={"page": "网页", "tutorial": "POST /", "v1": "/v1", "own": "服务器"},
)

OPERATIONS_TEXTS: dict[Language, OperationsTexts] = {"zh": ZH, "en": EN}
