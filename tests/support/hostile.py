"""What somebody may send who means harm, or whose program is broken."""

import json
from typing import Any

TRAVERSAL = (
    "../../../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "..%252f..%252fetc%252fpasswd", "..\\..\\windows\\win.ini",
    "....//....//etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "//etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa",
    "s3://169.254.169.254/latest", "/proc/self/environ", "secret", ".gateway/secret", "../.gateway/gateway.db",
)  # fmt: skip
INJECTION = (
    "' OR '1'='1", "'; DROP TABLE jobs; --", "1; SELECT pg_sleep(9)", "1 UNION SELECT secret_hash FROM api_keys", "%' --",
    "$(touch pwned)", "`touch pwned`", "; touch pwned #", "| touch pwned", "&& touch pwned", "--output=pwned", "-rf",
    "${jndi:ldap://127.0.0.1:9/x}", "{{7*7}}", "${7*7}", "%(name)s", "{0.__class__}", "__import__('os').system('touch pwned')",
    "!!python/object/apply:os.system ['touch pwned']", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", "=cmd|' /C calc'!A0", "%0d%0aX-Injected: yes",
    '{"$ne": null}', '{"__proto__": {"role": "admin"}}', "[bold]x[/bold]", "\x1b]0;pwned\x07",
)  # fmt: skip
OVERSIZED = ("A" * 5_000, "9" * 400, "-" + "9" * 30, "1e309", "1e-400", "[" * 3_000, "Ω" * 300, "a" * 121)
MALFORMED = (
    "",
    " ",
    "NaN",
    "Infinity",
    "null",
    "true",
    "0x10",
    "1_000",
    "-1",
    "0",
    "1.5",
    "%",
    "%zz",
    "\u202e\ufeff",
    "é",
    "\t",
)
TEXTS = (*TRAVERSAL, *INJECTION, *OVERSIZED, *MALFORMED)
# Of JSON alone: other types, numbers out of every range, characters that are no text, nesting without end.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**400, 1e308, float("nan"), float("-inf"), [], {}, [[]], [None], {"": None}, {"a": {"b": {}}},
    "\0", "a\0b", "\ud800", ["AAA"] * 2_000, {f"k{i}": i for i in range(500)}, {"../../x": 1}, {"$(touch pwned)": "$(touch pwned)"},
    json.loads("[" * 200 + "]" * 200),
)  # fmt: skip
# What no answer may hold: of files, of the database and of Python.
TOLD = ("root:x:", "Traceback", "sqlalchemy", "sqlite3", "psycopg", 'File "', "site-packages", "api_keys")
