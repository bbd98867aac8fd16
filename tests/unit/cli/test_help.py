"""The help of commands."""

import pytest
import typer

from backtune.cli import app


def _list_commands(command, words=()):
    yield words, command
    for name, one in getattr(command, "commands", {}).items():
        yield from _list_commands(one, (*words, name))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        pytest.param(words, command, id=" ".join(words) or "backtune")
        for words, command in _list_commands(typer.main.get_command(app))
    ],
)
def test_no_help_has_square_brackets_which_the_terminal_takes_for_markup(words, command):
    texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    assert not [text for text in texts if "[default" in text]
