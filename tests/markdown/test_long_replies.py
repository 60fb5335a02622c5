"""Long replies of one fragment again and again: none holds the server up."""

import subprocess
import sys

READS = """
import re
from components.engine.remote.whole_characters import WholeCharacters
from components.markdown.document import Document, complete_blocks
from components.markdown.growing import _HALF_BREAK
WholeCharacters().push("\\ufffd" * 400_000 + "a")
_HALF_BREAK.sub("", " " * 200_000 + "x")
complete_blocks("$1" + " ," * 64_000 + "!x$")
complete_blocks("www.a+" * 16_000)
"""


def test_none_takes_minutes() -> None:
    subprocess.run([sys.executable, "-c", READS], check=True, timeout=60)
