"""The dialog "My data": everything of a reader's as files, files brought in, and everything deleted."""

import threading
from functools import partial

import streamlit as st

from components.access.uploads import forget_uploads
from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.drafts import keep
from components.chats.erasing import delete_everything
from components.chats.everything import zip_everything
from components.chats.import_errors import ImportFileError
from components.chats.importing import read_file
from components.chats.replies import Replies
from components.chats.sharing import NotKeptError, shared_by, whole_shares_of
from components.lab.exporting import all_sheets
from components.markdown.escaping import escape_text
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.errors import ConflictError, FullError, StoreError
from components.store.presets import Presets
from components.store.sheets import Sheets
from components.ui.chat.bin import draw_bin
from components.ui.chat.file_field import draw_file_field
from components.ui.chat.opening import open_chat, open_new_chat
from components.ui.language import current_language
from components.ui.texts import Language, Texts
from components.ui.texts.catalogue import DataTexts
from components.web.site import zip_site
from components.web.texts import TEXTS as PAGE_TEXTS

_one_at_a_time = threading.Lock()
"""A file of the largest size takes several times as much memory while it is read or written."""

_FILE = "imported_file"
_PROBLEM = "my_data_problem"
_CONFIRMING = "confirming_deletion"
_DONE = "my_data_done"
"""In the session. The last one is what was done, and whether that is long: the dialog ends, and the page says so."""


def draw_my_data(chat: Chat, texts: Texts) -> None:
    """What the dialog holds."""
    if _DONE in st.session_state:
        st.rerun()
    try:
        with chat.replies.database.reading() as connection:
            conversations = Conversations(connection, chat.asker.reader)
            has_conversations, deleted = bool(conversations.list(1)), conversations.deleted()
            has_sheets = bool(Sheets(connection, chat.asker.reader).count())
            has_presets = bool(Presets(connection, chat.asker.reader).list())
        has_shares = bool(shared_by(chat))
    except StoreError as error:
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
        return
    problem: tuple[str, str] | None = st.session_state.pop(_PROBLEM, None)
    has_something = has_conversations or has_presets
    _draw_downloads(chat, has_something=has_something, has_shares=has_shares, texts=texts)
    if has_sheets:
        _draw_sheets(chat, texts)
    _draw_import(chat, texts)
    if problem is not None:
        st.warning(problem[0], icon=":material/error:")
        if problem[1]:
            st.text(problem[1])
    draw_bin(chat, deleted, texts, partial(_end, texts.mine.restored))
    _draw_deletion(chat, texts, disabled=not (has_something or has_sheets or deleted))


def tell_what_was_done() -> None:
    """On the page, once the dialog has ended by itself."""
    if (done := st.session_state.pop(_DONE, None)) is not None:
        text, is_long = done
        st.toast(text, icon=":material/check:", duration="infinite" if is_long else "short")


def told_of(error: ImportFileError, mine: DataTexts) -> str:
    """What is wrong and where, as plain text."""
    place = error.place
    where = [
        place.file,
        mine.in_line.format(number=place.line) if place.line else "",
        mine.in_conversation.format(number=place.conversation) if place.conversation else "",
        place.path,
    ]
    what = mine.problems[error.problem].format(**error.details)
    return f"{', '.join(named)}: {what}" if (named := list(filter(None, where))) else what


def _draw_downloads(chat: Chat, *, has_something: bool, has_shares: bool, texts: Texts) -> None:
    mine = texts.mine
    st.download_button(
        mine.download,
        partial(_everything, chat.replies, chat.asker.reader),
        file_name="all-conversations.zip",
        mime="application/zip",
        key="download_everything",
        help=mine.download_help,
        icon=":material/download:",
        on_click="ignore",
        disabled=not has_something,
        width="stretch",
    )
    if chat.replies.keeper.is_behind:
        st.caption(texts.not_kept)
    st.download_button(
        mine.site,
        partial(_site, chat, current_language()),
        file_name="conversations.zip",
        mime="application/zip",
        key="download_site",
        icon=":material/folder_zip:",
        on_click="ignore",
        disabled=not has_shares,
        width="stretch",
    )
    st.caption(mine.site_help if has_shares else mine.site_empty)


def _draw_sheets(chat: Chat, texts: Texts) -> None:
    st.download_button(
        texts.mine.sheets,
        partial(all_sheets, chat.replies.database, chat.asker.reader),
        file_name="sheets.json",
        mime="application/json",
        key="download_sheets",
        icon=":material/science:",
        on_click="ignore",
        width="stretch",
    )


def _everything(replies: Replies, reader: str) -> bytes:
    with _one_at_a_time:
        return zip_everything(replies.database, reader)


def _site(chat: Chat, language: Language) -> bytes:
    with _one_at_a_time:
        return zip_site(whole_shares_of(chat), PAGE_TEXTS[language])


def _draw_import(chat: Chat, texts: Texts) -> None:
    mine = texts.mine
    draw_file_field(mine.bring_in, texts, key=_FILE, on_change=_bring_in, args=(chat.asker, chat.replies, texts))
    st.caption(mine.bring_in_help.format(size=f"{get_settings().max_import_bytes / 2**20:g}"))


def _bring_in(asker: Asker, replies: Replies, texts: Texts) -> None:
    """Keep what can be read of the file, and open the first of its conversations."""
    file = st.session_state[_FILE]
    if file is None:
        return  # the reader took it back
    mine = texts.mine
    data = file.getvalue()
    forget_uploads()
    try:
        if len(data) > get_settings().max_import_bytes:
            st.session_state[_PROBLEM] = mine.too_large, ""
            return
        with _one_at_a_time:
            contents = read_file(data)
            keep(replies.database, asker, contents.drafts, contents.presets)
    except ImportFileError as error:
        st.session_state[_PROBLEM] = mine.wrong_file, told_of(error, mine)
    except FullError:
        st.session_state[_PROBLEM] = texts.full, ""
    except (StoreError, ConflictError):
        st.session_state[_PROBLEM] = texts.not_changed, ""
    else:
        if contents.drafts:
            open_chat(contents.drafts[0].conversation.id)
        done = [mine.brought_in.format(count=len(contents.drafts))] if contents.drafts else []
        if contents.presets:
            done.append(texts.presets.brought_in.format(count=len(contents.presets)))
        if contents.unread:
            told = " ".join(told_of(error, mine) for error in contents.told)
            done.append(mine.unread.format(count=contents.unread, told=escape_text(told)))
        _end(" · ".join(done), is_long=bool(contents.unread))


def _draw_deletion(chat: Chat, texts: Texts, *, disabled: bool) -> None:
    mine = texts.mine
    st.divider()
    if not st.session_state.get(_CONFIRMING):
        st.button(
            mine.delete,
            key="delete_everything",
            icon=":material/delete_forever:",
            on_click=_confirm,
            args=(True,),
            disabled=disabled,
            width="stretch",
        )
        return
    st.session_state[_CONFIRMING] = False  # whoever does something else, or closes the dialog, is asked again
    st.markdown(mine.delete_question)
    with st.container(horizontal=True, gap="small"):
        st.button(
            mine.delete_confirmed,
            key="delete_confirmed",
            type="primary",
            icon=":material/delete_forever:",
            on_click=_delete,
            args=(chat.asker, chat.replies, texts),
        )
        st.button(texts.cancel, key="cancel_deletion", on_click=_confirm, args=(False,))


def _end(done: str, *, is_long: bool = False) -> None:
    """For callbacks: the dialog ends, and the page says why; what is long stays until the reader closes it."""
    st.session_state[_DONE] = done, is_long


def _confirm(is_asked: bool) -> None:
    st.session_state[_CONFIRMING] = is_asked


def _delete(asker: Asker, replies: Replies, texts: Texts) -> None:
    try:
        delete_everything(asker, replies)
    except (StoreError, NotKeptError):
        st.session_state[_PROBLEM] = texts.not_changed, ""
    else:
        open_new_chat()
        _end(texts.mine.deleted)
