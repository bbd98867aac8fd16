"""Documents of users: what bare words are, what is refused and with which words, and what is written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backtune.errors import SpecError
from backtune.spec.documents import (
    RepeatedKeyError,
    check_json_keys,
    read_document,
    read_documents,
    read_text,
    to_yaml,
)

WORDS: list[tuple[str, object]] = [
    # Numbers, of which PyYAML takes those without a dot for text.
    ("1e-3", 0.001), ("1E5", 1e5), ("5e-2", 0.05), ("-1e3", -1e3), ("+2e+2", 200.0), ("1_0e-1", 1.0),
    (".5", 0.5), ("-.5", -0.5), ("1.", 1.0), ("1.5e3", 1500.0), ("00.5", 0.5), ("1_000.5", 1000.5),
    ("1_000", 1000), ("0", 0), ("-0", 0), ("7", 7), ("+7", 7), ("0x1F", 31), ("0b11", 3), (".inf", float("inf")),
    # Words.
    ("ON", True), ("on", True), ("NO", False), ("yes", True), ("Off", False), ("true", True), ("FALSE", False),
    ("~", None), ("null", None), ("", None),
    ("2018-01-01", date(2018, 1, 1)),
    ("2018-01-01 12:30:00", datetime(2018, 1, 1, 12, 30)),  # noqa: DTZ001
    ("2018-01-01T12:30:00Z", datetime(2018, 1, 1, 12, 30, tzinfo=UTC)),
    # Texts.
    ("'ON'", "ON"), ('"0700"', "0700"), ("'1e-3'", "1e-3"), ("y", "y"), ("N", "N"), ("=", "="), ("24/7", "24/7"),
    ("8h", "8h"), ("1e", "1e"), ("e5", "e5"), ("1e5x", "1e5x"), ("0o17", "0o17"), ("7203.T", "7203.T"), ("1-2", "1-2"),
    ("!!str 0700", "0700"), ("2018-01-01T12:30", "2018-01-01T12:30"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), WORDS, ids=[word or "empty" for word, _ in WORDS])
def test_bare_words(word: str, value: object) -> None:
    read = read_text(f"a: {word}").value["a"]
    assert (read, type(read)) == (value, type(value))


REFUSED: list[tuple[str, str]] = [
    ("a: 1\nb: {c: 1,\n  d: 2, c: 3}", "f: b.c: stands twice, on lines 2 and 3; keep one, or join the two"),
    ("a: 1\n\na: 1", "f: a: stands twice, on lines 1 and 3"),
    ("a: [{b: 1}, {x: 1, x: 2}]", "f: a.1.x: stands twice, on line 1;"),
    ("1: a\n'1': b", "f: 1: stands twice, on lines 1 and 2"),
    ("'on': a\non: b", "f: on: stands twice, on lines 1 and 2"),
    ("a: &b {x: 1}\nc: {<<: *b, y: 2, <<: *b}", "f: c.<<: stands twice, on line 2"),
    ('{"a": {"b": 1,\n"c": {"x": 1,\n "x": 2}}}', "f: a.c.x: stands twice, on lines 2 and 3"),
    ('{"a": [{"b": 1}, {"b": 2,\t"b": 3}]}', "f: a.1.b: stands twice, on line 1"),
    ('{"a": 1, "\\u0061": 2}', "f: a: stands twice, on line 1"),
    ('{"a.b": 1, "a": {"b": 2, "b": 3}}', "f: a.b: stands twice, on line 1"),
    ("d:\n  start: 2022-02-30", "f: d.start: 2022-02-30 is read as a date, and there is no such day or time; correct it, or quote it if it is text (line 2)"),
    ("d: {start: 2022-13-01}", "f: d.start: 2022-13-01 is read as a date"),
    ("d: {start: 2021-02-29 10:00:00}", "f: d.start: 2021-02-29 10:00:00 is read as a date"),
    ("d: {start: 2022-02-20 25:00:00}", "f: d.start: 2022-02-20 25:00:00 is read as a date"),
    ("d: {start: 2022-02-20T10:61:00Z}", "f: d.start: 2022-02-20T10:61:00Z is read as a date"),
    ("d: {start: 2022-02-20T10:00:00+99:00}", "f: d.start: 2022-02-20T10:00:00+99:00 is read as a date"),
    ("a: [0700]", "f: a.0: 0700 is read as 448, an octal number, in YAML 1.1, and as 700 in 1.2; write '0700' if it is text, 700 or 448 if it is a number (line 1)"),
    ("a: 0883", "f: a: 0883 is read as text in YAML 1.1, and as the number 883 in 1.2; write '0883' if it is text, 883"),
    ("a: -010", "f: a: -010 is read as -8, an octal number, in YAML 1.1, and as -10 in 1.2"),
    ("a: 12:30", "f: a: 12:30 is read as a number to base 60 in YAML 1.1, and as text in 1.2; write '12:30' (line 1)"),
    ("a: 1:30.5", "f: a: 1:30.5 is read as a number to base 60"),
    (f"a: {'9' * 5000}", "f: a: 999999999999... (5,000 characters) is a whole number of more than 64 bits"),
    (f'{{"a": {"9" * 5000}}}', "f: 999999999999... (5,000 characters) is a whole number of more than 64 bits"),
    ("a: 9223372036854775808", "f: a: 9223372036854775808 is a whole number of more than 64 bits"),
    ("a: &a [1, *a]", "f: a.1: refers to itself (line 1)"),
    ("a: &a {b: *a}", "f: a.b: refers to itself (line 1)"),
    ("? [a, b]\n: 1", "f: a list or a mapping is no key; write a text (line 1)"),
    ("a:\n  ? {b: 1}\n  : 1", "f: a: a list or a mapping is no key; write a text (line 2)"),
    ("a: !!binary aGk=", "f: a: the tag !!binary is not read; leave it out (line 1)"),
    ("a: !!set {x}", "f: a: the tag !!set is not read"),
    ("a: !!python/object/apply:os.getcwd []", "f: a: the tag !!python/object/apply:os.getcwd is not read"),
    ("a: !!int abc", "f: a: abc is no int (line 1)"),
    ("a: {<<: 3}", "f: a: '<<' takes a mapping, or a list of mappings (line 1)"),
    ("a: [", "f: is not YAML or JSON: while parsing a flow node, expected the node content, but found '<stream end>' (line 1, column 5)"),
    ("a: b: c", "f: is not YAML or JSON: mapping values are not allowed here (line 1, column 5)"),
    ("a: *b", "f: is not YAML or JSON: found undefined alias 'b' (line 1, column 4)"),
    ("a: 1\n---\nb: 2", "f: holds 2 documents; one is read, so leave out the '---'"),
    ("\0", "f: is not YAML or JSON: unacceptable character #x0000"),
    ("[" * 5_000, "f: is nested too deep to be read"),
    ("{a: " * 5_000, "f: is nested too deep to be read"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[f"{text:.30}" for text, _ in REFUSED])
def test_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(text, "f")
    assert str(caught.value).startswith(message)


def test_a_repeated_key_says_where() -> None:
    with pytest.raises(RepeatedKeyError) as caught:
        read_text("a: 1\nb:\n  c: 1\n  c: 2", "f")
    assert (caught.value.path, caught.value.lines) == ("b.c", (3, 4))


def test_aliases_of_aliases_cost_no_machine() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(SpecError, match=r"its aliases stand for more than 200,000 values \(line 1\)"):
        read_text("\n".join(lines))


MERGED = """
base: &base {fee_bps: 1, size: 0.5}
more: &more {size: 0.7, leverage: 2}
one: {<<: *base, size: 1}
two:
  size: 0.1
  <<: [*base, *more]
"""


def test_merge_keys_work_and_what_stands_beside_them_counts() -> None:
    value = read_text(MERGED).value
    assert value["one"] == {"fee_bps": 1, "size": 1}
    assert value["two"] == {"size": 0.1, "leverage": 2, "fee_bps": 1}


def test_keys_are_text_as_written() -> None:
    assert read_text("ON: 1\n0700: 2\n1e-3: 3\n~: 4\n'<<': 5").value == {
        "ON": 1, "0700": 2, "1e-3": 3, "~": 4, "<<": 5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ['{\n\t"a": 1e-3,\n\t"b": "\\ud83d\\ude00"}', '{"a": 0.001, "b": "😀"}'])
def test_json_is_read_as_json(text: str) -> None:
    assert read_text(text).value == {"a": 0.001, "b": "😀"}


def test_a_json_file_with_a_fault_is_told_as_json(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"a": 1,}')
    with pytest.raises(SpecError, match=r"s\.json: is not JSON: .* \(line 1, column \d+\)"):
        read_document(tmp_path / "s.json")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes("\ufeffa: 1".encode())
    assert read_document(path).value == {"a": 1}
    path.write_text("a: 1\n---\n# nothing\n---\n- b\n")
    assert [one.value for one in read_documents(path)] == [{"a": 1}, ["b"]]
    path.write_text("# nothing")
    assert (read_document(path).value, read_documents(path)) == (None, [])
    path.write_bytes(b"\xff")
    with pytest.raises(SpecError, match=r"s\.yaml: cannot be read: 'utf-8' codec"):
        read_document(path)
    with pytest.raises(SpecError, match=r"none\.yaml: cannot be read: No such file"):
        read_document(tmp_path / "none.yaml")


def test_the_writing_of_bare_words_is_kept() -> None:
    words = read_text("g:\n  a: [ON, x, 7203]\n  b: 'NO'\n").bare_words
    assert {path: (one.text, one.meaning, one.line) for path, one in words.items()} == {
        "g.a.0": ("ON", "true", 2),
        "g.a.2": ("7203", "a number", 2),
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"a": 1, "a": 2}', "a"),
        (b'{"a": {"b": [{"c": 1,\n "c": 2}]}}', "a.b.0.c"),
        ('{"a": 1, "a": 2}'.encode("utf-16"), "a"),
    ],
)
def test_a_body_with_a_key_twice(body: bytes, where: str) -> None:
    with pytest.raises(RepeatedKeyError) as caught:
        check_json_keys(body)
    assert caught.value.path == where


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": 1}', b"[" * 100_000, b"\xff\xfe", b'{"a":' + b"9" * 5000 + b"}"]
)
def test_what_else_is_wrong_with_a_body_is_left_to_its_reader(body: bytes) -> None:
    check_json_keys(body)


texts = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))),
    st.sampled_from(["ON", "0700", "0883", "12:30", "1e-3", "1E5", "1_000", "2018-01-01", "~", "null", "=", "<<", ".5", "- a", "a: b"]),
    st.from_regex(r"[-+]?[0-9_]{1,4}[.:eE]?[-+]?[0-9_]{0,3}", fullmatch=True),
)  # fmt: skip
plain = st.recursive(
    st.one_of(
        texts, st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False), st.booleans(), st.none()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(texts, plain, max_size=4))
def test_what_is_written_is_read_back_here_and_by_any_yaml(content: dict[str, Any]) -> None:
    text = to_yaml(content)
    assert read_text(text).value == content
    assert yaml.safe_load(text) == content
