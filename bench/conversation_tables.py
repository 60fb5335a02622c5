"""What keeping and showing conversations takes, as a page of Markdown."""

from bench import clicks, conversations, looking, storing
from bench.goals import conversation_goals
from bench.page import distinct, head_of, table, whole_page
from bench.results import Results
from components.chats.view import WINDOW


def conversations_page(results: Results) -> str:
    """What keeping and showing conversations takes."""
    parts = (_actions, _stored, _clicks, _looks)
    return whole_page(
        "Measurements of conversations",
        head_of(results),
        conversation_goals(results),
        [part(results) for part in parts],
    )


def _actions(results: Results) -> str:
    if not results.actions:
        return ""
    rows = []
    for what in distinct(action.what for action in results.actions):
        for name in distinct(action.database for action in results.actions):
            own = [action for action in results.actions if (action.what, action.database) == (what, name)]
            if own:
                summary = conversations.summarize(own)
                rows.append((what, name, summary.times, *(f"{1000 * seconds:.1f}" for seconds in summary[1:])))
    return "\n".join(
        [
            "## The database",
            "",
            f"What the database takes, in ms, when it keeps {results.setup.kept:,} messages in "
            f"{conversations.CONVERSATIONS:,} conversations of {conversations.READERS} readers, who take turns. "
            f"Questions have about {conversations.QUESTION_CHARACTERS} characters, replies about "
            f"{conversations.REPLY_CHARACTERS:,}. Sending begins with counting all that the "
            "reader keeps, which has a limit. PostgreSQL runs on the same machine, without waiting for the disk.",
            "",
            table(["What a reader does", "Database", "Times", "Median", "95 %", "Most"], rows),
        ]
    )


def _stored(results: Results) -> str:
    if not results.stored:
        return ""
    rows = []
    for name in distinct(one.database for one in results.stored):
        summary = storing.summarize([one for one in results.stored if one.database == name])
        rows.append(
            (
                name,
                f"{summary.without:.1f}",
                f"{summary.with_store:.1f}",
                f"{summary.ratio:.2f}",
                f"{100 * summary.share:.1f} %",
                f"{100 * summary.waited:.1f} %",
                f"{1000 * summary.transaction:.1f}",
            )
        )
    header = ["Database", "Tokens/s, nothing kept", "Kept", "Ratio", "Computing", "In transactions", "One, ms"]
    return "\n".join(
        [
            "## Replies that grow",
            "",
            f"{storing.AT_ONCE} replies are written at once, by the engine alone and then as the page asks for them: "
            "each in a conversation that is kept, with its text so far every second. The ratio is of the speeds of one "
            "round. Computing is what transactions that write computed in the engine's process, as a part of the time "
            "that the replies took; in transactions, how long they were open: for the most part that is waiting for a "
            "core, for the database, or for each other, while the engine goes on.",
            "",
            table(header, rows),
        ]
    )


def _clicks(results: Results) -> str:
    if not results.clicks:
        return ""
    rows = []
    for what in distinct(one.what for one in results.clicks):
        for length in distinct(one.messages for one in results.clicks):
            if own := [one for one in results.clicks if (one.what, one.messages) == (what, length)]:
                summary = clicks.summarize(own)
                rows.append(
                    (what, f"{length:,}", summary.times, f"{1000 * summary.seconds:.0f}", f"{summary.bytes:,.0f}")
                )
    return "\n".join(
        [
            "## Clicks",
            "",
            "What one click or key costs on the page in Chromium, over SQLite, until nothing changes any more; bytes "
            f"are those of the WebSocket, compressed, in both directions. The page shows the last {WINDOW} messages at "
            "first, and more when asked. Sliders count at the next question and send nothing by themselves, but for "
            "the longest reply, which decides how much of the conversation the model can see.",
            "",
            table(["What a reader does", "Messages", "Times", "ms", "Bytes"], rows),
        ]
    )


def _looks(results: Results) -> str:
    if not results.looks:
        return ""
    rows = []
    for tokens in distinct(look.tokens for look in results.looks):
        summary = looking.summarize([look for look in results.looks if look.tokens == tokens])
        milliseconds = (f"{1000 * seconds:.1f}" for seconds in summary[2:])
        rows.append((f"{tokens:,}", summary.times, f"{summary.sent / 1000:,.0f}", *milliseconds))
    return "\n".join(
        [
            "## Looking inside a reply",
            "",
            "What the view of a reply's tokens takes in Chromium, with 50 scores of each: kB are those of the "
            "WebSocket, compressed, for all that the click sends; it stands there so many ms after they have come. A "
            "slider that moves recolours all tokens, with styles and layout, without a message to the server.",
            "",
            table(["Tokens", "Times", "kB", "Drawn, ms", "Recoloured, ms", "95 %"], rows),
        ]
    )
