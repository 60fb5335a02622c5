"""What can be done with the settings of one column or cell: have the chat use them, or keep them as a preset."""

import streamlit as st

from components.chats.controls import Controls
from components.lab.jobs import Jobs
from components.markdown.escaping import escape_label
from components.sampling.parameters import SamplingParams
from components.sampling.presets import LONGEST_NAME, PresetError, check_preset
from components.store.errors import ConflictError, FullError, StoreError
from components.store.presets import Presets
from components.store.sheets import Sheet
from components.ui.lab.passage import adopt
from components.ui.lab.state import tell_problem
from components.ui.texts import Texts


def draw_keeping(jobs: Jobs, sheet: Sheet, number: int, texts: Texts) -> None:
    """The buttons below the replies of cell ``number``."""
    sampling = sheet.cells[number].sampling
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(texts.lab.use, key=f"lab_use_{number}", icon=":material/check:"):
            adopt(Controls(SamplingParams.model_validate(sampling), sheet.system))
        menu = st.popover(
            texts.lab.keep,
            key=f"lab_keep_{sheet.id}_{number}",
            icon=":material/bookmark_add:",
            type="tertiary",
            on_change="rerun",
        )
    if menu.open:
        with menu, st.form(key=f"lab_keep_form_{sheet.id}_{number}", border=False, enter_to_submit=True):
            name = f"lab_preset_{sheet.id}_{number}"
            st.text_input(texts.presets.name, key=name, max_chars=LONGEST_NAME)
            st.form_submit_button(
                texts.presets.save,
                key=f"lab_save_{sheet.id}_{number}",
                icon=":material/save:",
                on_click=_save,
                args=(jobs, sheet, number, name, texts),
            )


def _save(jobs: Jobs, sheet: Sheet, number: int, name: str, texts: Texts) -> None:
    try:
        preset = check_preset(st.session_state[name], sheet.cells[number].sampling)
        with jobs.database.writing() as connection:
            Presets(connection, sheet.reader).save(preset)
    except PresetError as error:
        tell_problem(f"{texts.presets.wrong} {escape_label(str(error))}")
    except FullError:
        tell_problem(texts.presets.too_many)
    except (StoreError, ConflictError):
        tell_problem(texts.not_changed)
    else:
        st.toast(texts.presets.saved.format(name=escape_label(preset.name)), icon=":material/check:")
