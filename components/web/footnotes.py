"""The footnotes of one reply as links within its page, from the text to the note and back, which need no script."""

from collections.abc import Iterator

from markdown_it.tree import SyntaxTreeNode


class Footnotes:
    """Numbers footnotes in the order in which they first come up, as the chat page does.

    Args:
        tree: the reply.
        name: tells them from those of other replies on the same page.
    """

    def __init__(self, tree: SyntaxTreeNode, name: str) -> None:
        self._name = name
        self._numbers: dict[str, int] = {}
        self._referred = set(_referred(tree))
        self._taken: set[str] = set()

    def reference(self, label: str, *, in_link: bool) -> str:
        """The number in the text; it leads to the note."""
        number = self._number_of(label)
        shown = str(number) if in_link else f'<a href="#{self._name}note-{number}">{number}</a>'
        return f"<sup{self._id('ref', number)}>{shown}</sup>"

    def note(self, label: str) -> tuple[str, str]:
        """What opens the note, and its number, which leads back to where it first comes up in the text."""
        number = self._number_of(label)
        shown = str(number)
        if label in self._referred:
            shown = f'<a class="back" href="#{self._name}ref-{number}">{number}</a>'
        return f'<div class="note"{self._id("note", number)}>', f"<sup>{shown}</sup>"

    def _number_of(self, label: str) -> int:
        return self._numbers.setdefault(label, len(self._numbers) + 1)

    def _id(self, kind: str, number: int) -> str:
        """The attribute; of several with the same number the first alone has it."""
        identity = f"{self._name}{kind}-{number}"
        if identity in self._taken:
            return ""
        self._taken.add(identity)
        return f' id="{identity}"'


def _referred(node: SyntaxTreeNode) -> Iterator[str]:
    """The labels in the text; of a picture's description nothing but the words is shown."""
    if node.type == "footnote_ref":
        yield node.meta["label"]
    if node.type != "image":
        for child in node.children:
            yield from _referred(child)
