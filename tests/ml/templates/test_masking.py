import polars as pl
import pytest

from ml.templates.digits import collapse
from ml.templates.masking import SLOT, mask_pattern, shapes_of


def shape(message: str, *masks: str) -> str:
    frame = collapse(pl.Series([message])).alias("collapsed").to_frame()
    found: str = frame.select(shapes_of(pl.col("collapsed"), masks)).item()
    return found.replace(SLOT, "<*>")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("from 10.0.0.1:80 and /10.0.0.2", "from <*> and /<*>"),
        ("took 12.5 ms, 40% of 3.2 KB", "took <*> ms, <*> of <*>"),
        ("lifetime <1 sec", "lifetime <*>"),
        ("at Fri Jun 17 07:07:00 2005 on 2005-06-03T15:42:50.363Z", "at <*> on <*>"),
        ("id b9000564-fe1a-409b-b8cc-1e88b294cd1d", "id <*>"),
        ("mac FF:F2:9F:16:E2:23 ip 2607:f140:6000:8:c6b3:1ff:fecd:467f", "mac <*> ip <*>"),
        ("iar 003a90fc dear 0x1f", "iar <*> dear <*>"),
        ("open /var/log/x.log and C:\\Temp\\y", "open <*> and <*>"),
        ("GET http://a.example/b?c=d from proxy.example.org:443", "GET <*> from <*>"),
        ("read/write and/or N/A", "read/write and/or N/A"),
        ("task attempt_1445_0020_m_000000_0 done", "task attempt_<*> done"),
        ("sizes 1, 2, 3, 4", "sizes <*>"),
        ("blocks blk_1 blk_-2 blk_3", "blocks blk_<*>"),
        ('tags ["a", "b"] end', "tags <*> end"),
        ("boom\n\tat a.b.C.d(E.java:1)\n\tat f.g(H.java:2)", "boom<*>"),
        ("plain words stay as they are", "plain words stay as they are"),
        (f"a {SLOT} of our own", "a <*> of our own"),
    ],
)
def test_what_is_masked(message: str, expected: str) -> None:
    assert shape(message) == expected


def test_masks_of_a_source_go_first() -> None:
    assert shape("user bob-7 left", r"bob-\d+") == "user <*> left"


@pytest.mark.parametrize(
    ("mask", "complaint"), [("(", "no regular expression"), ("a*", "matches an empty text")]
)
def test_a_bad_mask_is_refused(mask: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        mask_pattern((mask,))
