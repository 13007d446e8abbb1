import pytest

from ml.templates.types import common_type, type_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-12", "number"),
        ("3.25", "number"),
        ("40%", "number"),
        ("3.2 KB", "size"),
        ("160ms", "duration"),
        ("<1 sec", "duration"),
        ("10.0.0.1:80", "address"),
        ("node-7.example.org", "address"),
        ("/var/log/x", "path"),
        ("hdfs://a/b", "path"),
        ("b9000564-fe1a-409b-b8cc-1e88b294cd1d", "uuid"),
        ("0x1f", "hex"),
        ("003a90fc", "hex"),
        ("15:42:50.363", "time"),
        ("Fri Jun 17 07:07:00 2005", "time"),
        ("alice", "word"),
    ],
)
def test_type_of(value: str, expected: str) -> None:
    assert type_of(value) == expected


def test_numbers_among_hexadecimal_ones_are_hexadecimal() -> None:
    assert common_type(["hex", "number"]) == "hex"
    assert common_type(["path", "number"]) == "word"
