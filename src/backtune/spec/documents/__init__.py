"""Documents that users write: one reader of YAML and JSON for every file and every body, and one writer of YAML.

- :mod:`.document`: a file or a text as plain values, with the bare words that YAML does not read as text
- :mod:`.yaml_notation`, :mod:`.json_reader`: the two notations; a key that stands twice is refused in both, and the YAML that is
  written is read back as the same values by any reader
"""

from backtune.spec.documents.document import Document, read_document, read_documents, read_text
from backtune.spec.documents.json_reader import check_json_keys
from backtune.spec.documents.problems import RepeatedKeyError
from backtune.spec.documents.yaml_notation import to_yaml

__all__ = [
    "Document",
    "RepeatedKeyError",
    "check_json_keys",
    "read_document",
    "read_documents",
    "read_text",
    "to_yaml",
]
