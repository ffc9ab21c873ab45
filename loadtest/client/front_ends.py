"""The kinds of front end that call the API during a drop, each with its own headers, their order and their spelling.

The heads are those that a gateway receives behind a load balancer that speaks HTTP/2 with the clients. HTTP/2 has
names in lower case, and the balancer passes them on so; the names that it adds itself have capitals. The values are
realistic, not real: no person and no product is behind them.
"""

import random
import re
from dataclasses import dataclass
from typing import Final

_PAGE: Final = "https://vouchers.example.com"
_CHROME: Final = (112, 118, 121, 124, 128, 131, 134, 137)
_IOS: Final = ("15_8_3", "16_7_10", "17_4_1", "17_6_1", "18_1_1", "18_3_2", "18_5")
_ANDROID: Final = (10, 11, 12, 13, 14, 15)
_PHONES: Final = (
    *("ALN-AL00", "BRA-AL00", "ELE-AL00", "MNA-AL00", "NOH-AN00", "OXF-AN10"),
    *("2211133C", "23049RAD8C", "23127PN0CC", "M2007J3SC", "M2102K1AC", "Redmi Note 8 Pro"),
    *("V2055A", "V2183A", "V2307A", "PGU110", "PHY110", "PJD110", "SM-G9910", "SM-S9180", "SM-S9280", "RMX3800"),
)
_LANGUAGES: Final = (
    *("zh-CN,zh;q=0.9", "zh-CN,zh-Hans;q=0.9", "zh-CN,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-CN", "zh-Hans-CN;q=1"),
    *("zh-HK,zh;q=0.9,en;q=0.8", "en-US,en;q=0.9", "en-GB,en;q=0.9,zh-CN;q=0.8"),
)
_BUILDS: Final = ("TP1A.220624.014", "UP1A.231005.007", "SP1A.210812.016", "RP1A.200720.011", "AP3A.240905.015.A2")


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """A kind of client. `share` is its weight among all.

    Each line of `head` is a header, in the order in which the client sends it. `{name}` is a value that many people
    share. `<text:32>` and `<hex:32>` stand for so many characters that belong to one person, at most once before and
    once after the line with the credentials, which has a name alone.
    """

    name: str
    share: int
    head: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Header lines, each behind its CRLF, with room for `length` characters of a person between `left` and `right`.

    `hex` is True where these characters are hexadecimal digits.
    """

    left: bytes
    length: int
    hex: bool
    right: bytes


@dataclass(frozen=True, slots=True)
class Device:
    """A phone with a client: its header lines before and after the credentials, and the name of the credentials."""

    before: Piece
    credentials: bytes
    after: Piece


WEBVIEW: Final = FrontEnd(
    "page in an app's WebView, Android",
    30,
    """\
sec-ch-ua-platform: "Android"
authorization
user-agent: Mozilla/5.0 (Linux; U; Android {android}; zh-CN; {phone} Build/{build}; wv) AppleWebKit/537.36 \
(KHTML, like Gecko) Version/4.0 Chrome/{chrome}.0.{patch}.{small} Mobile Safari/537.36 CityPay/10.{minor}.{small}
sec-ch-ua: "Android WebView";v="{chrome}", "Chromium";v="{chrome}", "Not_A Brand";v="24"
sec-ch-ua-mobile: ?1
accept: application/json, text/plain, */*
origin: https://vouchers.example.com
x-requested-with: com.example.citypay
sec-fetch-site: same-site
sec-fetch-mode: cors
sec-fetch-dest: empty
referer: {page}
accept-encoding: gzip, deflate, br{zstd}
accept-language: {language}
cookie: {consent}CITYPAYSESSION=<text:{session}>; zone=GZ00C{minor}
priority: u=1, i""",
)
WEBVIEW_IPHONE: Final = FrontEnd(
    "page in an app's WebView, iPhone",
    15,
    """\
accept: application/json, text/plain, */*
authorization
sec-fetch-site: same-site
accept-language: {language}
accept-encoding: gzip, deflate, br
sec-fetch-mode: cors
origin: https://vouchers.example.com
user-agent: Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
Mobile/15E148 Ariver/1.0.15 CityPay/10.{minor}.{small} Nebula WK RVKType(0)
referer: {page}
sec-fetch-dest: empty
cookie: {consent}CITYPAYSESSION=<text:{session}>; zone=GZ00C{minor}""",
)
MINI_PROGRAM: Final = FrontEnd(
    "mini-program",
    25,
    """\
content-type: application/json
authorization
charset: utf-8
referer: https://mini.example.com/wx9f1b0c4d2e3a5b67/{minor}/page-frame.html
x-session: <text:{session}>
user-agent: Mozilla/5.0 (Linux; Android {android}; {phone} Build/{build}; wv) AppleWebKit/537.36 \
(KHTML, like Gecko) Version/4.0 Chrome/{chrome}.0.{patch}.{small} Mobile Safari/537.36 XWEB/{patch} \
MMWEBSDK/20240{small} CityChat/8.0.{minor}.2600(0x2800{patch}) NetType/{net} \
Language/zh_CN ABI/arm64 MiniProgramEnv/android
accept-encoding: gzip,compress,br,deflate""",
)
SAFARI: Final = FrontEnd(
    "Safari, iPhone",
    10,
    """\
accept: */*
sec-fetch-site: same-site
authorization
origin: https://vouchers.example.com
sec-fetch-dest: empty
accept-language: {language}
user-agent: Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
Version/{safari} Mobile/15E148 Safari/604.1
referer: {page}
sec-fetch-mode: cors
accept-encoding: gzip, deflate, br
cookie: {consent}sid=<hex:32>""",
)
ANDROID_APP: Final = FrontEnd(
    "app, Android",
    15,
    """\
x-app-version: 5.{minor}.{small}
x-device-id: <hex:16>
authorization
accept: application/json
accept-language: {language}
accept-encoding: gzip
user-agent: CityApp/5.{minor}.{small} (Android {android}; {phone}) okhttp/4.12.0""",
)
IPHONE_APP: Final = FrontEnd(
    "app, iPhone",
    5,
    """\
accept: application/json
x-app-version: 5.{minor}.{small}
x-device-id: <hex:32>
accept-language: {language}
accept-encoding: gzip, deflate, br
user-agent: CityApp/5.{minor}.{small} CFNetwork/1496.0.7 Darwin/23.{small}.0
authorization""",
)

FRONT_ENDS: Final = (WEBVIEW, WEBVIEW_IPHONE, MINI_PROGRAM, SAFARI, ANDROID_APP, IPHONE_APP)

_OWN: Final = re.compile(r"<(text|hex):(\d+)>")


def device(front_end: FrontEnd, seeded: random.Random) -> Device:
    """A phone with this front end: models, versions and settings are drawn with `seeded`."""
    lines = front_end.head.format(**_values(seeded)).splitlines()
    # What asks for credentials is the one line without a value.
    at = next(number for number, line in enumerate(lines) if ":" not in line)
    return Device(_piece(lines[:at]), f"\r\n{lines[at]}: ".encode(), _piece(lines[at + 1 :]))


def _values(seeded: random.Random) -> dict[str, object]:
    draw = seeded.choice
    ios = draw(_IOS)
    return {
        "android": draw(_ANDROID),
        "build": draw(_BUILDS),
        "chrome": draw(_CHROME),
        "consent": draw(("", "", f"_ga=GA1.2.{seeded.getrandbits(30)}.{1_700_000_000 + seeded.getrandbits(25)}; ")),
        "ios": ios,
        "language": draw(_LANGUAGES),
        "minor": seeded.randrange(2, 60),
        "net": draw(("WIFI", "4G", "5G")),
        "page": draw((f"{_PAGE}/", f"{_PAGE}/rounds?from=home", f"{_PAGE}/rounds/tonight?channel=push&v=3")),
        "patch": seeded.randrange(1000, 8000),
        "phone": draw(_PHONES),
        "safari": ".".join(ios.split("_")[:2]),
        "session": draw((24, 32, 43, 48, 64, 120)),
        "small": seeded.randrange(10),
        "zstd": draw(("", ", zstd")),
    }


def _piece(lines: list[str]) -> Piece:
    text = "".join(f"\r\n{line}" for line in lines)
    own = _OWN.search(text)
    if own is None:
        return Piece(text.encode(), 0, False, b"")
    kind, length = own.groups()
    return Piece(text[: own.start()].encode(), int(length), kind == "hex", text[own.end() :].encode())
