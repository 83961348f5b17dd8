"""Values of every type that are none."""

from __future__ import annotations

import base64

from tests.attack.corpus.cases import SEND, case
from tests.soap.wire import call, envelope

for name, text in {
    "letters that are none of it": "!!!!",
    "the alphabet of URLs": "a-_=",
    "no padding": "aGVsbG8",
    "padding in the middle": "aG=sbG8=",
    "padding only": "====",
    "one letter": "a",
    "too much padding": "aGVsbG8===",
    "hexadecimal": "0x1234",
    "text outside of ASCII": "aGVsbG8\u00e9",
    "wide letters": "\uff21\uff21\uff21\uff21",
    "long and wrong at its end": "A" * 2_000_000 + "!",
    "long and cut": "A" * 2_000_001,
    "base64 of base64, cut": base64.b64encode(base64.b64encode(b"x" * 100)).decode()[:-3],
}.items():
    case(f"base64: {name}", call("sendFile", SEND.format(text)))

for name, text in {
    "beyond 32 bits": "2147483648",
    "below 32 bits": "-2147483649",
    "beyond 64 bits": "9" * 20,
    "of a thousand digits": "9" * 1000,
    "hexadecimal": "0x10",
    "with an underline": "1_0",
    "a real number": "1.5",
    "with an exponent": "1e9",
    "Arabic digits": "\u0661\u0662",
    "two of them": "1 2",
    "NaN": "NaN",
    "a sign alone": "-",
    "a no-break space": "\u00a01",
}.items():
    case(f"integer {name}", call("beginTransaction", f"<duration>{text}</duration>"))
case("boolean of four", call("holdJob", "<clusterId>1</clusterId><jobId>0</jobId><email-user>4</email-user>"))
case(
    "boolean in capitals",
    call("holdJob", "<clusterId>1</clusterId><jobId>0</jobId><email-user>TRUE</email-user>"),
)
case("enumeration: a name of nobody", call("insertAd", "<type>EVERY-AD-TYPE</type><ad/>"))
case("enumeration: beyond 32 bits", call("insertAd", "<type>4294967296</type><ad/>"))
case("enumeration: a number of nobody", call("insertAd", "<type>99</type><ad/>"), "FAIL")
case(
    "enumeration: of an attribute",
    call("discoverJobRequirements", "<jobAd><item><name>A</name><type>s</type></item></jobAd>"),
)

for name, raw in {
    "NUL": b"\0",
    "backspace": b"\x08",
    "escape": b"\x1b[2J",
    "U+FFFF": "\uffff".encode(),
}.items():
    case(f"control character: {name}", call("getJobAds", "<constraint>@</constraint>").replace(b"@", raw))
for number in ("0", "x0", "8", "27", "xFFFE", "xD800", "x110000", "99999999999999999999", "-1", ""):
    case(f"character reference: {number}", call("getJobAds", f"<constraint>&#{number};</constraint>"))
case(
    "control character in the name of the operation",
    envelope("<c:getVersionString\x01 xmlns:c='urn:condor'/>"),
)
case(
    "line ends in a value of an ad",
    call(
        "insertAd",
        "<type>5</type><ad><item><name>Name</name><type>STRING-ATTR</type><value>a&#10;&#13;b&#9;</value></item></ad>",
    ),
    "SUCCESS",
)
