"""What texts the lab has; ``lab_en.py`` and ``lab_zh.py`` fill them in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabTexts:
    """The texts of the lab. Names in braces are filled in with ``format``."""

    title: str
    about: str
    back: str
    view: str
    views: dict[str, str]
    setup: str
    question: str
    question_placeholder: str
    columns: str
    column: str
    longest: str
    ask: str
    across: str
    down: str
    values: str
    values_help: str
    samples: str
    total: str
    others: str
    same_parameter: str
    wrong_values: str
    no_question: str
    too_many: str
    already: str
    not_started: str
    progress: str
    stop: str
    ends: dict[str, str]
    mark: str
    base: str
    differs: str
    figures: str
    at_longest: str
    use: str
    keep: str
    metric: str
    metrics: dict[str, str]
    metric_help: dict[str, str]
    nothing: str
    cell: str
    sample: str
    open: str
    none_yet: str
    gone: str
    delete: str
    delete_question: str
    delete_confirmed: str
    download: str
    share: str
    share_about: str
    votes: str
    no_votes: str
    stopped_sample: str
    waiting: str
