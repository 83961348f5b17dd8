"""Encodings that are wrong, contradictory or compressed."""

from __future__ import annotations

import gzip

from tests.attack.corpus.cases import MILLION, VERSION, case
from tests.soap.wire import call, envelope, operation

case("gzip bomb", gzip.compress(VERSION + b" " * 64 * MILLION), headers=(b"Content-Encoding: gzip",))
case("gzip bomb, undeclared", gzip.compress(VERSION + b" " * 64 * MILLION))
case("deflate that is none", b"x" * 1000, headers=(b"Content-Encoding: deflate",))

for name, raw in {
    "a lone continuation byte": b"\x80",
    "a cut sequence": b"\xe2\x82",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "0xFF": b"\xff",
}.items():
    case(f"invalid UTF-8: {name}", call("getJobAds", "<constraint>@</constraint>").replace(b"@", raw))
for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"):
    prolog = f"<?xml version='1.0' encoding='{encoding}'?>"
    case(
        f"well-formed in {encoding}",
        envelope(operation("getVersionString"), prolog=prolog).decode().encode(encoding),
    )
case("UTF-16 of half a character", b"\xff\xfe" + VERSION.decode().encode("utf-16-le") + b"<")
case(
    "UTF-16 with a lone surrogate",
    b"\xff\xfe"
    + call("getJobAds", "<constraint>@</constraint>").decode().encode("utf-16-le").replace(b"@\0", b"\0\xd8"),
)
case("UTF-8 that says UTF-16", b"<?xml version='1.0' encoding='UTF-16'?>" + VERSION)
case("UTF-16 below UTF-8", VERSION[:100] + VERSION[100:].decode().encode("utf-16-le"))
case(
    "ISO-8859-1 that says UTF-8",
    b"<?xml version='1.0' encoding='UTF-8'?>"
    + call("getJobAds", "<constraint>@</constraint>").replace(b"@", b"\xe9"),
)
case("an encoding that nobody knows", b"<?xml version='1.0' encoding='x-klingon'?>" + VERSION)
case(
    "an encoding of eight million letters",
    b"<?xml version='1.0' encoding='" + b"x" * 8 * MILLION + b"'?>" + VERSION,
)
case("a charset that nobody knows", VERSION, "SUCCESS", content_type=b"text/xml; charset=x-klingon")
case(
    "a charset that contradicts the document",
    b"<?xml version='1.0' encoding='UTF-8'?>" + VERSION,
    "SUCCESS",
    content_type=b"text/xml; charset=utf-16",
)
case("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf" + VERSION)
case("a content type of nothing but semicolons", VERSION, "SUCCESS", content_type=b"text/xml" + b";" * 8000)
