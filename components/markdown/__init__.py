"""Replies as Streamlit's renderer must get them.

``parsing`` finds out what a reply says, ``writing`` writes it anew so that Streamlit can only understand it that way,
and ``document`` does both for a reply that is still growing. Everybody else needs ``document`` alone.
"""
