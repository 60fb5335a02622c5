"""What a reader sees of a reply's HTML, in the form in which the tests of the chat page say what is to be seen."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.markdown.streamlit_renderer import Block, Run

VOID = frozenset({"br", "hr", "input"})
_INLINE = frozenset({"strong", "em", "s", "code", "a", "sup", "br", "input", "math", "span"})
_LISTS = {"ul": "bullet_list", "li": "list_item"}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass
class Element:
    """An element of a page; texts stand between its children."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """It, and all elements in it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()


class _TreeBuilder(HTMLParser):
    """Builds the tree, and takes no end tag that does not belong to what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")


def tree_of(html: str) -> Element:
    """The elements of ``html``, which are properly nested and all closed."""
    builder = _TreeBuilder()
    builder.feed(html)
    builder.close()
    assert len(builder.open) == 1
    return builder.open[0]


def fragments_lead_somewhere(tree: Element) -> bool:
    """Whether every link within the page leads to one place; no two places have one name."""
    names = [element.attributes["id"] for element in tree.walk() if "id" in element.attributes]
    aims = [element.attributes.get("href", "") for element in tree.walk()]
    return len(set(names)) == len(names) and {aim[1:] for aim in aims if aim.startswith("#")} <= set(names)


def seen_in(html: str) -> list[Block]:
    """The blocks that a reader sees. Formulas have no text, as it is not told from what they are drawn."""
    return list(_blocks(tree_of(html).children))


def as_shared(blocks: Iterable[Block]) -> list[Block]:
    """What is to be seen on the chat page, as a shared page has it: links lead to other servers only."""
    return [_as_shared(block) for block in blocks]


def _as_shared(block: Block) -> Block:
    kind, content = block
    if kind == "formula":
        return ("formula", "")
    if not isinstance(content, list):
        return block
    if not _are_runs(content):
        return (str(kind), as_shared(content))
    return (
        kind,
        merged(
            ("" if "math_inline" in styles else text, frozenset(new for old in styles if (new := _style(old))))
            for text, styles in content
        ),
    )


def _style(style: str) -> str | None:
    if not style.startswith("link to "):
        return style
    address = style.removeprefix("link to ")
    if address.startswith("//"):
        return f"link to https:{address}"
    return style if address.startswith(("http://", "https://", "mailto:")) else None


def _are_runs(content: list[object]) -> bool:
    return bool(content) and isinstance(content[0], tuple) and isinstance(content[0][1], frozenset)


def _blocks(nodes: Iterable[Element | str]) -> Iterator[Block]:
    line: list[Element | str] = []
    for node in nodes:
        if isinstance(node, str) or node.tag in _INLINE:
            line.append(node)
            continue
        yield from _paragraph(line)
        line = []
        yield from _block(node)
    yield from _paragraph(line)


def _paragraph(line: list[Element | str]) -> Iterator[Block]:
    """Texts outside of any paragraph, as in the items of a tight list."""
    if runs := _merged(line):
        yield ("paragraph", runs)


def _block(node: Element) -> Iterator[Block]:
    match node.tag:
        case "p":
            yield ("paragraph", _merged(node.children))
        case "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "th" | "td":
            yield (node.tag, _merged(node.children))
        case "pre":
            yield ("code", "\n".join(line.rstrip() and line for line in _text(node).split("\n")).rstrip("\n"))
        case "ol":
            yield (f"from {node.attributes.get('start', 1)}", list(_blocks(node.children)))
        case "div" if any(isinstance(child, Element) and child.tag == "math" for child in node.children):
            yield ("formula", "")
        case "div":
            yield from _blocks(node.children)
        case _:
            yield (_LISTS.get(node.tag, node.tag), list(_blocks(node.children)))


def _merged(nodes: Iterable[Element | str]) -> list[Run]:
    return merged(_runs(nodes, frozenset()))


def merged(runs: Iterable[Run]) -> list[Run]:
    """``runs``, those of one style as one; each formula is one of its own."""
    found: list[Run] = []
    for text, styles in runs:
        if found and found[-1][1] == styles and "math_inline" not in styles:
            found[-1] = (found[-1][0] + text, styles)
        elif text or "math_inline" in styles:
            found.append((text, styles))
    return found


def _runs(nodes: Iterable[Element | str], styles: frozenset[str]) -> Iterator[Run]:
    for node in nodes:
        if isinstance(node, str):
            yield (node.strip("\n").replace("\n", " "), styles)
            continue
        match node.tag:
            case "br":
                yield ("\n", styles)
            case "input":
                yield ("☑" if "checked" in node.attributes else "☐", styles)
            case "math":
                yield ("", styles | {"math_inline"})
            case "sup":
                yield from ((text.translate(_SUPERSCRIPTS), styles) for text, _ in _runs(node.children, styles))
            case "a":
                yield from _runs(node.children, styles | {f"link to {node.attributes['href']}"})
            case _:
                yield from _runs(node.children, styles | {node.tag})


def _text(node: Element) -> str:
    return "".join(child if isinstance(child, str) else _text(child) for child in node.children)
