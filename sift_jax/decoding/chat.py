"""A chat in a terminal: a question a line, or a command.

    > /audio x.wav
    > How fast does she speak?         ─► the answer, as it is written
    > /adio y.wav                      ─► error: there is no command /adio; did you mean /audio?

Answers go to standard output and all else to standard error, so that a file of questions gives a
file of answers.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator

from sift_jax.decoding.conversation import Conversation

AUDIO, RESET, HELP, QUIT = "/audio", "/reset", "/help", "/quit"
COMMANDS = {
    f"{AUDIO} PATH": "adds a recording to the next question",
    RESET: "forgets what was said and heard",
    HELP: "lists the commands",
    QUIT: "ends the chat, as Ctrl-D does",
}
_NAMES = (AUDIO, RESET, HELP, QUIT)
_WORDS_THAT_END = ("exit", "quit")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def greet(conversation: Conversation) -> str:
    """What a chat begins with."""
    seconds = conversation.model.config.longest_seconds
    return (
        f"Ask about recordings of up to {seconds:g} s: {AUDIO} PATH adds one; {HELP} lists the "
        f"commands, {QUIT} or Ctrl-D ends."
    )


def list_commands() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(f"{name:<{width}}  {what}" for name, what in COMMANDS.items())


def run_chat(
    conversation: Conversation,
    lines: Iterable[str],
    say: Callable[[Iterator[str]], object],
    tell: Callable[[str], object] = _tell,
) -> None:
    """Reads lines until they end or /quit: `say` takes the pieces of an answer, `tell` all else.
    What is wrong with a line is told, and the next is read."""
    tell(greet(conversation))
    for line in lines:
        text = line.strip()
        if text == QUIT or text.lower() in _WORDS_THAT_END:
            return
        if not text:
            continue
        try:
            if text.startswith("/"):
                _obey(conversation, text, tell)
            else:
                say(conversation.stream(text))
        except (ValueError, OSError) as error:
            tell(f"error: {error}")


def _obey(conversation: Conversation, text: str, tell: Callable[[str], object]) -> None:
    name, _, rest = text.partition(" ")
    if name == AUDIO:
        path = rest.strip()
        if not path:
            raise ValueError(f"{AUDIO} names no file; write {AUDIO} PATH")
        conversation.hear(path)
    elif name == RESET:
        conversation.reset()
    elif name == HELP:
        tell(list_commands())
    else:
        close = difflib.get_close_matches(name, _NAMES, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"{HELP} lists them"
        raise ValueError(f"there is no command {name}; {hint}")
