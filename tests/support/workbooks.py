"""Excel workbooks read back from their XML."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Book:
    """The sheets of a workbook: their fields as text or numbers, the formats of the fields, and what is no plain field.

    Attributes:
        lines: of each sheet by name; a field that is empty is None.
        formats: of each sheet, the number format of each field by its place (line, column).
        frozen: of each sheet, how many lines stay.
        kinds: elements other than values and text in any field.
        parts: names of the files in the archive.
    """

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.parts = archive.namelist()
            # Written by the test a moment ago.
            read = {name: ET.fromstring(archive.read(name)) for name in self.parts if name.endswith(".xml")}  # noqa: S314
        names = [sheet.get("name") for sheet in read["xl/workbook.xml"].iter(f"{_MAIN}sheet")]
        codes = {
            own.get("numFmtId"): own.get("formatCode") for own in read["xl/styles.xml"].iter(f"{_MAIN}numFmt")
        }
        styles = [own.get("numFmtId") for own in read["xl/styles.xml"].find(f"{_MAIN}cellXfs")]
        self._codes = [codes.get(style, style) for style in styles]
        self.lines, self.formats, self.frozen = {}, {}, {}
        self.kinds = set()
        for place, name in enumerate(names, start=1):
            sheet = read[f"xl/worksheets/sheet{place}.xml"]
            pane = sheet.find(f".//{_MAIN}pane")
            self.frozen[name] = int(pane.get("ySplit")) if pane.get("state") == "frozen" else 0
            self.lines[name], self.formats[name] = [], {}
            for line in sheet.iter(f"{_MAIN}row"):
                self._read_line(name, line)

    def _read_line(self, name: str, line: ET.Element) -> None:
        fields: list[str | float | bool | None] = []
        for field in line:
            column = _column(field.get("r"))
            fields += [None] * (column - len(fields))
            self.formats[name][len(self.lines[name]), column] = self._codes[int(field.get("s", "0"))]
            self.kinds |= {child.tag.removeprefix(_MAIN) for child in field} - {"v", "is"}
            fields.append(_value(field))
        self.lines[name].append(fields)


def _column(reference: str) -> int:
    letters = re.match("[A-Z]+", reference)[0]
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _value(field: ET.Element) -> str | float | bool | None:
    if field.get("t") == "inlineStr":
        return field.find(f"{_MAIN}is/{_MAIN}t").text or ""
    value = field.find(f"{_MAIN}v")
    if value is None:
        return None
    return bool(int(value.text)) if field.get("t") == "b" else float(value.text)
