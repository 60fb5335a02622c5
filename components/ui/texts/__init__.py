"""Every text that the page shows: what there is in ``catalogue.py``, and a file for each language."""

from components.ui.texts.catalogue import ErrorKind, InsideTexts, Language, OperationsTexts, PaceTexts, Texts
from components.ui.texts.en import EN
from components.ui.texts.lab_catalogue import LabTexts
from components.ui.texts.zh import ZH

__all__ = [
    "EN",
    "LANGUAGE_NAMES",
    "TEXTS",
    "ZH",
    "ErrorKind",
    "InsideTexts",
    "LabTexts",
    "Language",
    "OperationsTexts",
    "PaceTexts",
    "Texts",
]

LANGUAGE_NAMES: dict[Language, str] = {"zh": "中文", "en": "EN"}

TEXTS: dict[Language, Texts] = {"zh": ZH, "en": EN}
