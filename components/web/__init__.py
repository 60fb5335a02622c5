"""Plain pages beside the chat, and files to download: no Streamlit, no script. Behind the access middleware."""
