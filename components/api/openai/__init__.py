"""An API that programs written for OpenAI's speak to unchanged.

Where OpenAI's reference leaves a choice, or this server differs from it, the fields of the requests say so.
"""
