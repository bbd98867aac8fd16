"""Files to import: found in folders and archives, and every other file listed with the reason why it is not read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow

from backtune.errors import BarsError, CatalogError

TABLES: Final = tuple(
    """
    .csv .tsv .txt .prn .asc .parquet .pq .feather .arrow .ipc .json .jsonl .ndjson
    """.split()
)
_UNFINISHED: Final = (
    ".crdownload",
    ".part",
    ".partial",
    ".download",
    ".tmp",
    ".aria2",
    ".!ut",
    ".opdownload",
)
_REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_UNFINISHED, "is a download that has not finished; finish it, or remove the file"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "is a spreadsheet; save the sheet with the bars as CSV"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "is HDF5; write it as Parquet, for example with pandas"),
    **dict.fromkeys(
        (".pkl", ".pickle"), "is a pickle, which can run code when it is read; write it as Parquet"
    ),
    **dict.fromkeys(
        (".db", ".sqlite", ".sqlite3", ".duckdb"), "is a database; export the table as CSV or Parquet"
    ),
    **dict.fromkeys(
        (".npy", ".npz", ".mat", ".rds", ".rdata"), "is an array file; write it as CSV or Parquet"
    ),
    **dict.fromkeys(
        (".7z", ".rar", ".tar", ".tgz"), "is an archive of a kind that is not read; unpack it first"
    ),
    **dict.fromkeys((".dbn", ".hst", ".bi5", ".fxt"), "is a vendor's own binary form; export it as CSV"),
    **dict.fromkeys((".checksum", ".sha256", ".md5"), "is a checksum"),
    **dict.fromkeys((".md", ".rst", ".html", ".pdf", ".log"), "is a document"),
}
# A table of a hundred million rows; beyond it, a small archive that unpacks without end is the likelier explanation.
_MOST_BYTES: Final = 8 * 2**30
_CHUNK_BYTES: Final = 2**24


@dataclass(frozen=True)
class Source:
    """A file, or a member of an archive, that holds one table.

    Attributes:
        label: The path that messages show, with the member's name behind that of its archive.
        path: The path whose name tells asset and timeframe, without suffixes of compression.
        read: The function that returns the table's bytes.
    """

    label: str
    path: Path
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()


@dataclass(frozen=True)
class Unread:
    """A file that is not read.

    Attributes:
        label: The path that messages show.
        reason: The reason, as a clause that follows the file's name.
        is_error: True if the user named this very file, or if it should have been readable.
    """

    label: str
    reason: str
    is_error: bool = False


def find_sources(paths: Iterable[str | Path]) -> list[Source | Unread]:
    """Find every file below ``paths``, in order of name: either one to read, or one with the reason why not.

    Raises:
        CatalogError: A path does not exist, or is a folder without a file to read.
    """
    found: list[Source | Unread] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if not file.is_dir())
            inside = [entry for file in files for entry in _open_file(file)]
            if not any(isinstance(entry, Source) for entry in inside):
                listed = "".join(f"\n  {e.label}: {e.reason}" for e in inside if isinstance(e, Unread))
                raise CatalogError(
                    f"{path}: the folder holds no file to import ({', '.join(TABLES)}){listed}"
                )
            found.extend(inside)
        elif not path.exists():
            raise CatalogError(f"{path}: there is no such file or folder")
        else:
            found.extend(_as_named(entry, path) for entry in _open_file(path))
    return found


def _as_named(entry: Source | Unread, path: Path) -> Source | Unread:
    """Return a file that the user named as an error, where it is not of a kind that is read."""
    if isinstance(entry, Source) or entry.label != str(path) or entry.is_error:
        return entry
    kinds = (
        f"it has to be one of {', '.join(TABLES)}, or one of these compressed as .gz, .bz2, .xz, .zst or .zip"
    )
    return Unread(entry.label, f"{entry.reason}; {kinds}", is_error=True)


def _open_file(file: Path) -> Iterator[Source | Unread]:
    suffix = file.suffix.lower()
    label = str(file)
    if file.name.startswith("."):
        yield Unread(label, "is a hidden file")
    elif suffix == ".zip":
        yield from _open_archive(file)
    elif suffix in _DECOMPRESSORS:
        inner = file.with_suffix("")
        if inner.suffix.lower() in TABLES:
            yield Source(label, inner, lambda: _decompress(file))
        else:
            yield Unread(
                label, f"is compressed, and {inner.name!r} does not end in one of {', '.join(TABLES)}"
            )
    elif suffix in TABLES:
        yield Source(label, file, lambda: _read_file(file))
    else:
        yield _refuse(label, file.name)


def _refuse(label: str, name: str) -> Unread:
    suffix = Path(name).suffix.lower()
    if suffix in _REASONS:
        return Unread(label, _REASONS[suffix])
    return Unread(
        label, f"cannot be imported: {suffix or 'a name without a suffix'} is not a kind of file that is read"
    )


def _open_archive(file: Path) -> Iterator[Source | Unread]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        yield Unread(str(file), f"is not a whole zip archive ({error}); download it again", is_error=True)
        return
    if not members:
        yield Unread(str(file), "is an empty archive", is_error=True)
    for member in members:
        name = PurePosixPath(member.filename)
        label = f"{file}/{name}"
        if name.parts[0] == "__MACOSX" or name.name.startswith("."):
            yield Unread(label, "is a hidden file")
        elif name.suffix.lower() not in TABLES:
            yield _refuse(label, name.name)
        else:
            yield Source(label, file.parent / name.name, _reader_of_member(file, member))


def _reader_of_member(file: Path, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
                return _read_bounded(stream.read, f"{file}/{member.filename}")
        except (
            zipfile.BadZipFile,
            OSError,
            RuntimeError,
            NotImplementedError,
            ValueError,
            EOFError,
        ) as error:
            raise BarsError(f"cannot be unpacked: {error}", source=f"{file}/{member.filename}") from error

    return read


_DECOMPRESSORS: Final[Mapping[str, Callable[[Path], Any]]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda file: pyarrow.CompressedInputStream(str(file), "zstd"),
}


def _decompress(file: Path) -> bytes:
    try:
        with _DECOMPRESSORS[file.suffix.lower()](file) as stream:
            return _read_bounded(stream.read, str(file))
    except (OSError, EOFError, lzma.LZMAError, ValueError, pyarrow.ArrowException) as error:
        raise BarsError(f"cannot be decompressed (cut off or damaged?): {error}", source=file) from error


def _read_bounded(read: Callable[[int], bytes], label: str) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while chunk := read(_CHUNK_BYTES):
        chunks.append(chunk)
        total += len(chunk)
        if total > _MOST_BYTES:
            raise BarsError(f"unpacks to more than {_MOST_BYTES // 2**30} GiB; split it", source=label)
    return b"".join(chunks)


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BarsError(f"cannot be read: {error.strerror}", source=file) from error
