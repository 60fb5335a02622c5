"""Long replies of one fragment again and again: none holds the server up."""

import subprocess
import sys

READS = """
from components.engine.remote.whole_characters import WholeCharacters
from components.markdown.document import Document, complete_blocks
WholeCharacters().push("\\ufffd" * 400_000 + "a")
Document().grow("| a |\\n|---|\\n| 1" + " " * 400_000 + "x")
complete_blocks("$1" + " ," * 64_000 + "!x$")
complete_blocks("www.a+" * 16_000)
"""


def test_none_takes_minutes() -> None:
    subprocess.run([sys.executable, "-c", READS], check=True, timeout=60)
