"""Finds words in the code of a page, which belong into a catalogue of texts, because a reader would see them.

There are two ways to be found:

- anything with a letter in it that a call of Streamlit shows, directly, by a name, or through a function of the page
  that passes it on;
- anything anywhere that looks like words: letters of other scripts than Latin, several words, or a capital word. What
  nobody reads on the page is left out: docstrings, annotations, what is logged or raised.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

SHOWING = frozenset(
    name
    for owner in (DeltaGenerator, st)
    for name in dir(owner)
    if name[0].islower() and callable(getattr(owner, name))
) - {"cache_data", "cache_resource", "fragment", "container", "columns", "switch_page", "connection", "get_option"}
"""Calls of Streamlit, whatever container they are called on, that may put something on the page."""

HIDDEN = frozenset({
    "alignment", "args", "avatar", "bind", "border", "disabled", "duration", "file_name", "format", "gap", "height",
    "icon", "key", "label_visibility", "language", "layout", "mime", "on_change", "on_click", "on_submit", "page_icon",
    "position", "selection_mode", "text_alignment", "type", "url_path", "vertical_alignment", "horizontal_alignment",
    "width",
})  # fmt: skip
"""Arguments that are no texts. Every other one may be."""

SHOWN_ANYWHERE = frozenset({"label", "help", "placeholder", "title", "header", "tooltip"})
"""Arguments that are texts whatever is called: those of plots, for instance."""

ROLES = {"user", "assistant"}
"""What ``st.chat_message`` wants to know."""

MARKUP = re.compile(
    r"<style>.*?</style>|<!--.*?-->|</?[a-zA-Z][^>]*>|:material/[^:]*:|:[a-z]+(?=\[)|https?://\S+|&#?\w+;"
    r"|\b[a-z-]+=\"[^\"]*\"|[?&]\w+=|^default-src .*|^[A-Z]\w*(?:-[A-Z]\w*)+$",
    re.DOTALL,
)
"""Words of Streamlit, HTML, addresses, a content security policy, or a header's name, which nobody reads."""

LETTER = re.compile(r"[^\W\d_]")
WORDS = re.compile(r"[^\W\d_]['’]?\s+[^\W\d_]|\b[A-Z][a-z]|(?![a-zA-Z])[^\W\d_]")
"""Two words, a capital one, or a letter that is not ASCII's."""

GAP = "\0"
"""Stands for a value in a string."""


@dataclass(frozen=True)
class Module:
    """The code of one file, and what it binds to names."""

    tree: ast.Module
    bound: dict[str, list[ast.expr]] = field(default_factory=dict)

    @classmethod
    def parse(cls, source: str) -> "Module":
        module = cls(ast.parse(source))
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=targets, value=value):
                    names = [target.id for target in targets if isinstance(target, ast.Name)]
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    names = [name]
                case ast.NamedExpr(target=ast.Name(id=name), value=value):
                    names = [name]
                case _:
                    continue
            for name in names:
                module.bound.setdefault(name, []).append(value)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.For | ast.comprehension):
                module.bind_each(node.target, node.iter)
        return module

    def bind_each(self, target: ast.expr, values: ast.expr) -> None:
        """Bind what a loop names to what it goes through, as far as that is written in the code."""
        match target, values:
            case ast.Tuple(elts=[_, inner]), ast.Call(func=ast.Name(id="enumerate"), args=[what, *_]):
                self.bind_each(inner, what)
            case ast.Tuple(elts=[key, value]), ast.Call(func=ast.Attribute(value=what, attr="items")):
                for one in self.values_of(what):
                    if isinstance(one, ast.Dict):
                        self.bind_each(key, ast.List([*filter(None, one.keys)]))
                        self.bind_each(value, ast.List(one.values))
            case ast.Name(id=name), _:
                self.bound.setdefault(name, []).extend(self.values_of(values))
            case ast.Tuple(elts=targets), _:
                for one in self.values_of(values):
                    for row in one.elts if isinstance(one, ast.List | ast.Tuple) else []:
                        if isinstance(row, ast.List | ast.Tuple):
                            for inner, value in zip(targets, row.elts, strict=False):
                                self.bind_each(inner, ast.List([value]))

    def values_of(self, node: ast.expr) -> list[ast.expr]:
        """What a name was given, or the expression itself."""
        return self.bound.get(node.id, []) if isinstance(node, ast.Name) else [node]


def written_out(source: str, others: Iterable[str] = (), catalogues: Collection[str] = ()) -> list[str]:
    """The words in a file that a reader would see, each with its line.

    Args:
        source: the file.
        others: files whose functions it may call.
        catalogues: classes of which each object is a catalogue of texts.
    """
    module = Module.parse(source)
    passing = passed_on([module], passed_on_by(tuple(others)))
    found = {
        (call.lineno, text)
        for call in calls(module.tree)
        if name_of(call) not in catalogues
        for text in shown_texts(call, module, passing)
    }
    found |= {(node.lineno, text) for node, text in wordy(module.tree, frozenset(catalogues))}
    return [f"{line}: {text.replace(GAP, '…')}" for line, text in sorted(found)]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def shown_texts(call: ast.Call, module: Module, passing: dict[str, list[str]]) -> Iterator[str]:
    """The literals with letters among what a call shows."""
    for argument in shown_arguments(call, passing):
        for text, _ in pieces(argument, module):
            is_role = name_of(call) == "chat_message" and text in ROLES
            if LETTER.search(MARKUP.sub("", text)) and not is_role:
                yield text


def shown_arguments(call: ast.Call, passing: dict[str, list[str]]) -> Iterator[ast.expr]:
    """The arguments of a call that may be texts on the page."""
    if is_logged(call):
        return
    name = name_of(call)
    parameters = passing.get(name)
    if parameters is not None and isinstance(call.func, ast.Name):
        yield from (one for one, parameter in zip(call.args, parameters, strict=False) if parameter)
        yield from (one.value for one in call.keywords if one.arg in parameters)
    elif name in SHOWING and isinstance(call.func, ast.Attribute):
        yield from call.args
        yield from (one.value for one in call.keywords if one.arg not in HIDDEN)
    else:
        yield from (one.value for one in call.keywords if one.arg in SHOWN_ANYWHERE)


def pieces(node: ast.expr, module: Module, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, list[ast.expr]]]:
    """The literals that an expression may become, with the values that are filled into them."""
    match node:
        case ast.Constant(value=str(text)):
            yield text, []
        case ast.JoinedStr():
            yield joined(node)
        case ast.Name(id=name) if name not in seen:
            for value in module.bound.get(name, ()):
                yield from pieces(value, module, seen | {name})
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            yield from pieces(one, module, seen)
            yield from pieces(other, module, seen)
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            for value in values:
                yield from pieces(value, module, seen)
        case ast.Dict(keys=keys, values=values):
            for value in (*filter(None, keys), *values):
                yield from pieces(value, module, seen)
        case ast.Call(func=ast.Attribute(value=inner, attr="format" | "join" | "strip" | "upper" | "title")):
            yield from pieces(inner, module, seen)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "str" | "escape"), args=[inner]):
            yield from pieces(inner, module, seen)


def joined(node: ast.JoinedStr) -> tuple[str, list[ast.expr]]:
    """An f-string with a gap for each value, and the values that stand outside of markup."""
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
    values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    in_markup = {at for tag in MARKUP.finditer(text) for at in range(*tag.span())}
    gaps = [at for at, character in enumerate(text) if character == GAP]
    return text, [value for at, value in zip(gaps, values, strict=True) if at not in in_markup]


@cache
def passed_on_by(sources: Sequence[str]) -> dict[str, list[str]]:
    """The same files are asked about for each file that calls them."""
    return passed_on(list(map(Module.parse, sources)), {})


def passed_on(modules: Iterable[Module], others: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """For each function, its parameters that end up on the page; what does not is left empty, to keep the places.

    Args:
        modules: whose functions.
        others: what is known of those that they may call.
    """
    passing = dict(others)
    functions = [
        (module, node) for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef)
    ]
    while True:
        before = len([name for names in passing.values() for name in names if name])
        for module, function in functions:
            parameters = [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]
            shown = {
                name
                for call in calls(function)
                for argument in shown_arguments(call, passing)
                for name in names_shown(argument, module)
            }
            if kept := [name if name in shown else "" for name in parameters]:
                passing[function.name] = kept
        passing = {name: names for name, names in passing.items() if any(names)}
        if before == len([name for names in passing.values() for name in names if name]):
            return passing


def names_shown(argument: ast.expr, module: Module) -> Iterator[str]:
    """The names whose values an argument shows."""
    match argument:
        case ast.Name(id=name):
            yield name
        case ast.JoinedStr():
            for value in joined(argument)[1]:
                yield from names_shown(value, module)
        case ast.Call(func=ast.Name(id="str" | "escape"), args=[inner]):
            yield from names_shown(inner, module)
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            yield from names_shown(one, module)
            yield from names_shown(other, module)


def wordy(node: ast.AST, catalogues: frozenset[str]) -> Iterator[tuple[ast.expr, str]]:
    """The literals that look like words, but for those that stay in the code."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise():
            return
        case ast.Call() if is_logged(node) or name_of(node) in catalogues:
            return
        case ast.Constant(value=str(text)) if WORDS.search(MARKUP.sub("", text)):
            yield node, text
        case ast.JoinedStr():
            text, _ = joined(node)
            if WORDS.search(MARKUP.sub("", text)):
                yield node, text
            for part in node.values:
                if isinstance(part, ast.FormattedValue):  # not what stands behind its colon
                    yield from wordy(part.value, catalogues)
            return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from wordy(child, catalogues)


def is_logged(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="logger")):
            return True
        case ast.Name(id=name):
            return name.endswith("Error") or name in ("cast", "TypeVar")
    return False


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def lonely_errors(source: str) -> list[str]:
    """Where what an error says is shown with no text of a catalogue before it, each with its line."""
    tree = ast.parse(source)
    errors = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    errors |= {
        one.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for one in node.args.args
        if one.annotation is not None and "Error" in ast.unparse(one.annotation)
    }
    found = []
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            told = False
            for statement in block if isinstance(block, list) else []:
                shown = [
                    ast.unparse(argument)
                    for call in (calls(statement) if isinstance(statement, ast.Expr) else ())
                    for argument in shown_arguments(call, {})
                ]
                if not told and any(text in {f"str({name})" for name in errors} | errors for text in shown):
                    found.append(f"{statement.lineno}: {ast.unparse(statement)}")
                told = told or bool(shown)
    return found


def spoken_errors(source: str, kinds: Collection[str]) -> list[str]:
    """Where one of these kinds of errors is made a text of, instead of the page's, each with its line."""
    found = []
    for handler in ast.walk(ast.parse(source)):
        match handler:
            case ast.ExceptHandler(type=ast.expr() as kind, name=str(error)) if any(
                isinstance(one, ast.Name) and one.id in kinds for one in ast.walk(kind)
            ):
                for node in ast.walk(handler):
                    match node:
                        case (
                            ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)])
                            | ast.FormattedValue(value=ast.Name(id=name))
                            | ast.Attribute(value=ast.Name(id=name), attr="args")
                        ) if name == error:
                            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def written_in_template(template: str) -> list[str]:
    """The words that stand in a template itself, Jinja's or ``string.Template``'s, and not in what is filled in."""
    template = re.sub(r"\{#.*?#\}", "", template, flags=re.DOTALL)
    # A literal in an expression is as good as one outside; what is compared, or names a block, is none.
    inside = [
        text
        for expression in re.findall(r"\{\{(.*?)\}\}", template, re.DOTALL)
        for text in re.findall(r"(?<![\[=(] )(?<![\[=(])[\"']([^\"']*)[\"']", expression)
    ]
    parser = _Words()
    parser.feed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\$\w+|\$\{\w+\}", "", template, flags=re.DOTALL))
    return [text for text in (*parser.found, *inside) if LETTER.search(text)]


class _Words(HTMLParser):
    """What is read, by eye or ear, of a page."""

    READ = frozenset({"alt", "aria-description", "aria-label", "label", "placeholder", "title", "value"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipping = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "script"):
            self._skipping = tag
        values = dict(attributes)
        self.found += [value for name, value in attributes if name in self.READ and value]
        if values.get("name") == "description" and (content := values.get("content")):
            self.found.append(content)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipping:
            self._skipping = ""

    def handle_data(self, data: str) -> None:
        if not self._skipping and data.strip():
            self.found.append(" ".join(data.split()))
