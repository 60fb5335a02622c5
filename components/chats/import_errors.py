"""What is said of a file that cannot be brought in."""


class ImportFileError(Exception):
    """The file is not one of conversations, or is wrong somewhere; the text names the place."""


def at(place: str, *steps: str | int) -> str:
    """A place within ``place``, as JavaScript writes it: ``conversations[3].messages[0].role``."""
    for step in steps:
        place += f"[{step}]" if isinstance(step, int) else f"{'.' if place else ''}{step}"
    return place
