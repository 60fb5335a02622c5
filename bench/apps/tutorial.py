"""A chat page as Streamlit's tutorial builds one, with ``st.write_stream``; it recites as the application's does."""

import streamlit as st

from bench.apps.replies import read_question, stream

if question := st.chat_input("Say something"):
    with st.chat_message("user"):
        st.markdown(question)
    with st.chat_message("assistant"):
        st.write_stream(stream(*read_question(question)))
    st.caption("The end.")
