"""The row of presets above the sliders: one to choose, and a menu to save, rename, delete, bring in and share."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from components.access.address import page_url
from components.access.uploads import forget_uploads
from components.chats.chat import Chat
from components.engine.interface import EngineInfo
from components.markdown.escaping import escape_label
from components.sampling.presets import (
    BUILT_IN,
    LONGEST_NAME,
    NEUTRAL,
    Preset,
    PresetError,
    check_preset,
    read_presets,
    write_presets,
)
from components.store.errors import ConflictError, FullError, StoreError
from components.store.presets import KeptPreset, Presets
from components.ui.chat.file_field import draw_file_field
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.sliders import SEED, fit
from components.ui.texts import Texts

_CHOSEN = "preset"
_SHOWN = "preset_shown"
"""In the session: the preset whose values the sliders show; of those with the same values, the one chosen last."""
_NAME = "preset_name"
_NEW_NAME = "preset_new_name"
_FILE = "preset_file"
_PROBLEM = "preset_problem"
"""In the session: why something was not done, and details that are not in the page's language."""


def draw_presets(chat: Chat, info: EngineInfo, values: Mapping[str, float], seed: int | None, texts: Texts) -> None:
    """The row, given what the sliders show."""
    try:
        with chat.replies.database.reading() as connection:
            own = Presets(connection, chat.asker.reader).list()
    except StoreError:
        own = []  # the page says elsewhere that the store is away
    presets = _offered(own, texts)
    shown = _shown(presets, info, values)
    st.session_state[_SHOWN] = shown
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        # A button that tells of each choice once. A field that is set as the sliders move would be told of by the
        # browser with what it showed before, and what is chosen again would be no change.
        st.menu_button(
            texts.presets.title if shown is None else escape_label(presets[shown].name),
            list(presets),
            format_func=lambda key: escape_label(presets[key].name),
            key=_CHOSEN,
            on_click=_choose,
            args=(presets, info),
        )
        menu = st.popover(
            texts.presets.menu,
            key="presets_menu",
            on_change="rerun",
        )
    if menu.open:
        with menu:
            _draw_menu(chat, own, info, values, seed, texts)


def link_to(values: Mapping[str, float], seed: int | None) -> str:
    """The page's address with these parameters, wherever the reader's browser finds it."""
    page = urlsplit(st.context.url or page_url())
    query = urlencode({**values, **({SEED: seed} if seed is not None else {})})
    return urlunsplit((page.scheme, page.netloc, page.path or "/", query, ""))


def _offered(own: Sequence[KeptPreset], texts: Texts) -> dict[str, Preset]:
    """By what they are known; of two with one name it is the reader's own."""
    names = {kept.preset.name for kept in own}
    built_in = {key: Preset(texts.presets.built_in[key], values) for key, values in BUILT_IN.items()}
    offered = {key: preset for key, preset in built_in.items() if preset.name not in names}
    return offered | {kept.id: kept.preset for kept in own}


def _shown(presets: Mapping[str, Preset], info: EngineInfo, values: Mapping[str, float]) -> str | None:
    """The preset that the sliders show, which may be none: somebody moved one. Of several, the one chosen last."""
    same = [
        key for key, preset in presets.items() if all(values[name] == v for name, v in _fitted(preset, info).items())
    ]
    last = st.session_state.get(_SHOWN)
    return last if last in same else next(iter(same), None)


def _fitted(preset: Preset, info: EngineInfo) -> dict[str, float]:
    return {name: fit(name, value, info) for name, value in preset.values.items()}


def _choose(presets: Mapping[str, Preset], info: EngineInfo) -> None:
    chosen = st.session_state[_CHOSEN]
    if chosen in presets:  # else it was deleted in another tab
        st.session_state[_SHOWN] = chosen
        st.session_state.update(_fitted(presets[chosen], info))


def _draw_menu(
    chat: Chat,
    own: Sequence[KeptPreset],
    info: EngineInfo,
    values: Mapping[str, float],
    seed: int | None,
    texts: Texts,
) -> None:
    words = texts.presets
    problem: tuple[str, str] | None = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        st.warning(problem[0], icon=":material/error:")
        if problem[1]:
            st.text(problem[1])
    with st.form(key="preset_form", border=False, enter_to_submit=True):
        st.text_input(words.name, key=_NAME, max_chars=LONGEST_NAME)
        st.form_submit_button(words.save, key="save_preset", icon=":material/save:", on_click=_save, args=(chat, texts))
    chosen = next((kept for kept in own if kept.id == st.session_state.get(_SHOWN)), None)
    if chosen is not None:
        _draw_chosen(chat, chosen, texts)
    st.caption(words.link, help=words.link_help)
    st.code(link_to(values, seed), language=None, wrap_lines=True)
    st.download_button(
        words.export,
        write_presets(kept.preset for kept in own),
        file_name="presets.json",
        mime="application/json",
        key="download_presets",
        icon=":material/download:",
        on_click="ignore",
        disabled=not own,
    )
    draw_file_field(words.bring_in, texts, key=_FILE, on_change=_bring_in, args=(chat, info, texts))
    st.caption(words.bring_in_help)


def _draw_chosen(chat: Chat, chosen: KeptPreset, texts: Texts) -> None:
    words = texts.presets
    st.markdown(f"**{escape_label(chosen.preset.name)}**")
    key = f"{_NEW_NAME}_{chosen.id}"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            words.rename,
            chosen.preset.name,
            key=key,
            max_chars=LONGEST_NAME,
            on_change=_rename,
            args=(chat, chosen, key, texts),
        )
        st.button(
            words.delete,
            key="delete_preset",
            icon=":material/delete:",
            on_click=_delete,
            args=(chat, chosen, texts),
        )


def _save(chat: Chat, texts: Texts) -> None:
    """Keep what the sliders show now, which the script run that drew the button may not have known."""
    values = {name: round(st.session_state[name], 6) for name in NEUTRAL}
    try:
        preset = check_preset(st.session_state[_NAME], values)
        with chat.replies.database.writing() as connection:
            st.session_state[_SHOWN] = Presets(connection, chat.asker.reader).save(preset)
    except PresetError as error:
        st.session_state[_PROBLEM] = texts.presets.wrong, str(error)
    except FullError:
        st.session_state[_PROBLEM] = texts.presets.too_many, ""
    except (StoreError, ConflictError):
        st.session_state[_PROBLEM] = texts.not_changed, ""
    else:
        st.session_state[_NAME] = ""
        st.toast(texts.presets.saved.format(name=escape_label(preset.name)), icon=":material/check:")


def _rename(chat: Chat, chosen: KeptPreset, key: str, texts: Texts) -> None:
    try:
        preset = check_preset(st.session_state[key], dict(chosen.preset.values))
        with told_if_unkept(texts), chat.replies.database.writing() as connection:
            Presets(connection, chat.asker.reader).rename(chosen.id, preset.name)
    except PresetError as error:
        st.session_state[_PROBLEM] = texts.presets.wrong, str(error)
    except ConflictError:
        st.session_state[_PROBLEM] = texts.presets.taken, ""


def _delete(chat: Chat, chosen: KeptPreset, texts: Texts) -> None:
    with told_if_unkept(texts):
        with chat.replies.database.writing() as connection:
            Presets(connection, chat.asker.reader).delete(chosen.id)
        st.toast(texts.presets.deleted.format(name=escape_label(chosen.preset.name)), icon=":material/check:")


def _bring_in(chat: Chat, info: EngineInfo, texts: Texts) -> None:
    """Keep what the file holds, and have the sliders show the first of its presets."""
    file = st.session_state[_FILE]
    if file is None:
        return  # the reader took it back
    data, words = file.getvalue(), texts.presets
    forget_uploads()
    try:
        found = read_presets(data, file.name)
        with chat.replies.database.writing() as connection:
            ids = Presets(connection, chat.asker.reader).bring_in(found.presets)
    except PresetError as error:
        st.session_state[_PROBLEM] = words.wrong, str(error)
    except FullError:
        st.session_state[_PROBLEM] = words.too_many, ""
    except (StoreError, ConflictError):
        st.session_state[_PROBLEM] = texts.not_changed, ""
    else:
        st.session_state[_SHOWN] = ids[0]
        st.session_state.update(_fitted(found.presets[0], info))
        st.toast(words.brought_in.format(count=len(found.presets)), icon=":material/check:")
        if found.left_out:
            names = escape_label(", ".join(found.left_out))
            st.session_state[_PROBLEM] = words.left_out.format(names=names), ""
