"""Servers that this application starts and watches itself, spoken to through ``remote``."""
