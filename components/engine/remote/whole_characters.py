"""Texts of other servers in whole characters: what some send of one that is not complete is no text."""

import re

_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_INCOMPLETE = "[\ufffd\ud800-\udfff]"
_END = re.compile(f"(?<!{_INCOMPLETE}){_INCOMPLETE}+\\Z")  # tried once for each run, not at each of its marks
_HALF = re.compile("[\ud800-\udfff]")


class WholeCharacters:
    """Holds back what may be a part of a character: marks in its place, or one half of two in UTF-16.

    A mark that something follows is the server's text, and comes out with what follows. At the end of a reply it
    nearly always stands for a character that was cut, and never comes out.
    """

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> str:
        """Take more text; return what is whole now."""
        text = self._held + text
        self._held = ""
        if _HALF.search(text):
            text = _PAIR.sub(
                lambda pair: "".join(pair.groups()).encode("utf-16", "surrogatepass").decode("utf-16"), text
            )
        if found := _END.search(text):
            text, self._held = text[: found.start()], found[0]
        return _HALF.sub("\ufffd", text)
