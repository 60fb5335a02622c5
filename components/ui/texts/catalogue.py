"""What texts there are. Every language fills in all of them, in a file of its own."""

from dataclasses import dataclass
from typing import Literal

from components.chats.import_errors import ImportProblem
from components.chats.sharing import Expiry
from components.engine.interface import Stage
from components.ui.texts.lab_catalogue import LabTexts

Language = Literal["zh", "en"]

ErrorKind = Literal["prompt", "full", "queue", "limit", "other"]


@dataclass(frozen=True)
class OperationsTexts:
    """The texts of the operations page."""

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
    seconds: str
    gigabytes: str
    percent: str
    in_line: str
    restarting: str
    written: str
    cancel: str
    origins: dict[str, str]


@dataclass(frozen=True)
class DataTexts:
    """The texts about a reader's own data."""

    title: str
    download: str
    download_help: str
    as_markdown: str
    as_json: str
    site: str
    site_help: str
    site_empty: str
    sheets: str
    bring_in: str
    bring_in_help: str
    choose: str
    brought_in: str
    too_large: str
    wrong_file: str
    unread: str
    problems: dict[ImportProblem, str]
    in_line: str
    in_conversation: str
    delete: str
    delete_question: str
    delete_confirmed: str
    deleted: str
    bin: str
    restore: str
    restored: str


@dataclass(frozen=True)
class ShareTexts:
    """The texts about conversations that are shared."""

    open: str
    title: str
    about: str
    expiry: str
    expiries: dict[Expiry, str]
    make: str
    qr: str
    links: str
    until: str
    for_ever: str
    withdraw: str
    not_kept: str
    too_many: str
    copy_title: str
    copy_about: str
    copy: str
    no_copy: str
    copy_gone: str


@dataclass(frozen=True)
class PresetTexts:
    """The texts about presets of the sampling parameters."""

    title: str
    built_in: dict[str, str]
    menu: str
    more: str
    name: str
    save: str
    saved: str
    rename: str
    delete: str
    deleted: str
    taken: str
    too_many: str
    export: str
    bring_in: str
    bring_in_help: str
    brought_in: str
    left_out: str
    wrong: str
    link: str
    link_help: str


@dataclass(frozen=True)
class PaceTexts:
    """How fast a reply was written, in plots."""

    title: str
    time: str
    waiting: str
    reading: str
    writing: str
    prompt: str
    reused: str
    read: str
    speed: str
    seconds: str
    rate: str
    unknown: str


@dataclass(frozen=True)
class InsideTexts:
    """The texts of the view of a reply's tokens, which are handed to it as data."""

    open: str
    close: str
    reading: str
    nothing: str
    needs_logits: str
    needs_prompt: str
    tokens: str
    place: str
    reset: str
    greedy_same: str
    greedy_differs: str
    greedy_unknown: str
    greedy_asking: str
    forbidden: str
    lacking: str
    asking: str
    untold: str
    untold_here: str
    alone: str
    stages: str
    before: str
    after: str
    log: str
    hint: str
    branch_hint: str
    no_branch: str
    all: str
    fewer: str
    cumulative: str
    behind: str
    approximate: str
    score: str
    cut: str
    cut_by_some: str
    came: str
    go_on: str


@dataclass(frozen=True)
class Texts:
    """The texts in one language. Names in braces are filled in with ``format``."""

    title: str
    tagline: str
    ask: str
    examples: tuple[str, ...]
    language: str
    new_chat: str
    chats: str
    no_chats: str
    search: str
    nothing_found: str
    more_chats: str
    more_found: str
    this_chat: str
    rename: str
    pin: str
    unpin: str
    pinned: str
    delete: str
    deleted: str
    undo: str
    today: str
    yesterday: str
    last_week: str
    earlier: str
    between: str
    edit: str
    send: str
    cancel: str
    previous: str
    next: str
    not_found: str
    store_away: str
    not_kept: str
    full: str
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
    seconds: str
    stages: dict[Stage, str]
    load_failed: str
    load_again: str
    crashed: str
    thinking: str
    ahead: str
    restarting: str
    seconds_left: str
    stop: str
    regenerate: str
    retry: str
    resume: str
    break_loop: str
    more: str
    good: str
    poor: str
    note: str
    markdown: str
    regenerate_here: str
    resume_here: str
    sees: str
    room: str
    turns_help: str
    seen: str
    not_seen: str
    rest_seen: str
    pin_turn: str
    unpin_turn: str
    leave_out: str
    take_in: str
    not_changed: str
    gone: str
    pace: "PaceTexts"
    receipt: str
    receipt_help: str
    save: str
    replay: str
    replaying: str
    not_replayed: str
    replay_same: str
    replay_differs: str
    replay_exact: str
    replay_inexact: str
    replay_impossible: str
    errors: dict[ErrorKind, str]
    ends: dict[str, str]
    empty: str
    speed: str
    first_token: str
    tokens: str
    context: str
    forgotten_above: str
    forgotten: str
    mine: DataTexts
    share: ShareTexts
    lab: LabTexts
    presets: PresetTexts
    inside: InsideTexts
    operations: OperationsTexts
