"""Replies as Streamlit's renderer must get them."""
