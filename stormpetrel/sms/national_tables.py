"""The alphabets of GSM 7-bit text: the default one, its extension, and the national language tables.

Source: 3GPP TS 23.038 V16, 6.2.1 (default), 6.2.1.1 (extension), A.2 (single shift), A.3 (locking shift). A table
has 128 characters, by the value of the septet. UNASSIGNED marks a value without a character.

The tables of Indic languages and of Urdu share the places of Latin letters, digits and punctuation; only the
other places are listed for each language, as code points in the order of their septets.
"""

from __future__ import annotations

from types import MappingProxyType

ESCAPE = 0x1B
UNASSIGNED = "\x1b"

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)


def _pairs(text: str) -> dict[int, str]:
    """Return the characters of a list such as "28{ 29}" by septet."""
    return {int(pair[:2], 16): pair[2:] for pair in text.split(" ")}


_EXTENSION = _pairs("0A\f 14^ 28{ 29} 2F\\ 3C[ 3D~ 3E] 40| 65€")


def _table(characters: dict[int, str], *, over: str = UNASSIGNED * 128) -> str:
    """Return the table `over` with these characters in place of its own."""
    return "".join(characters.get(septet, character) for septet, character in enumerate(over))


def _listed(text: str) -> list[str]:
    """Return the characters of a list such as "0905..0908 - 090A -*2": ranges, and UNASSIGNED for each dash."""
    found = []
    for word in text.split():
        if word.startswith("-"):
            found += [UNASSIGNED] * int(word[2:] or 1)
        else:
            first, _, last = word.partition("..")
            found += [chr(point) for point in range(int(first, 16), int(last or first, 16) + 1)]
    return found


def _filled(frame: str, listed: str) -> str:
    """Return the frame with the listed characters in place of its NULs, and UNASSIGNED where the list ends."""
    characters = iter(_listed(listed))
    return "".join(next(characters, UNASSIGNED) if place == "\0" else place for place in frame)


_LOCKING_FRAME = (
    "\0" * 10 + "\n\0\0\r" + "\0" * 13 + UNASSIGNED + "\0" * 4 + " !" + "\0" * 6 + ")(\0\0,\0.\0"
    "0123456789:;\0\0\0?" + "\0" * 33 + "abcdefghijklmnopqrstuvwxyz" + "\0" * 5
)
_SHIFT_FRAME = _table(
    {
        **dict(enumerate("@£$¥¿\"¤%&'\f*+")),
        **dict(enumerate("-/<=>¡^¡_#*", start=0x0E)),
        **dict(enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", start=0x41)),
        **dict.fromkeys([0x19, 0x1A, *range(0x1C, 0x28), *range(0x2A, 0x2F), *range(0x30, 0x3C), 0x3F], "\0"),
        **{septet: character for septet, character in _EXTENSION.items() if septet >= 0x28},
    }
)

LOCKING = MappingProxyType(
    {
        0: DEFAULT,
        # Turkish
        1: _table(_pairs("04€ 07ı 0BĞ 0Cğ 1CŞ 1Dş 40İ 60ç"), over=DEFAULT),
        # Portuguese
        3: _table(
            _pairs(
                "04ê 06ú 07í 08ó 09ç 0BÔ 0Cô 0EÁ 0Fá 12ª 13Ç 14À 15∞ 16^ 17\\ 18€ 19Ó 1A| 1CÂ 1Dâ 1EÊ "
                "24º 40Í 5BÃ 5CÕ 5DÚ 60~ 7Bã 7Cõ 7D`"
            ),
            over=DEFAULT,
        ),
        # Bengali and Assamese
        4: _filled(
            _LOCKING_FRAME,
            "0981..0983 0985..098C -*2 098F..0990 -*2 0993..09A8 - 09AA..09B0 - 09B2 -*3 09B6..09B9 "
            "09BC..09C4 -*2 09C7..09C8 -*2 09CB..09CE 09D7 09DC..09DD 09F0..09F1",
        ),
        # Gujarati
        5: _filled(
            _LOCKING_FRAME,
            "0A81..0A83 0A85..0A8D - 0A8F..0A91 - 0A93..0AA8 - 0AAA..0AB0 - 0AB2..0AB3 - 0AB5..0AB9 "
            "0ABC..0AC5 - 0AC7..0AC9 - 0ACB..0ACD 0AD0 0AE0..0AE3 0AF1",
        ),
        # Hindi
        6: _filled(_LOCKING_FRAME, "0901..0903 0905..0939 093C..094D 0950 0972 097B..097C 097E..097F"),
        # Kannada
        7: _filled(
            _LOCKING_FRAME,
            "- 0C82..0C83 0C85..0C8C - 0C8E..0C90 - 0C92..0CA8 - 0CAA..0CB3 - 0CB5..0CB9 "
            "0CBC..0CC4 - 0CC6..0CC8 - 0CCA..0CCD 0CD5..0CD6 0CE0..0CE3",
        ),
        # Malayalam
        8: _filled(
            _LOCKING_FRAME,
            "- 0D02..0D03 0D05..0D0C - 0D0E..0D10 - 0D12..0D28 - 0D2A..0D39 - 0D3D..0D44 - "
            "0D46..0D48 - 0D4A..0D4D 0D57 0D60..0D63 0D79",
        ),
        # Oriya
        9: _filled(
            _LOCKING_FRAME,
            "0B01..0B03 0B05..0B0C -*2 0B0F..0B10 -*2 0B13..0B28 - 0B2A..0B30 - 0B32..0B33 - 0B35..0B39 "
            "0B3C..0B44 -*2 0B47..0B48 -*2 0B4B..0B4D 0B56..0B57 0B60..0B63",
        ),
        # Punjabi
        10: _filled(
            _LOCKING_FRAME,
            "0A01..0A03 0A05..0A0A -*4 0A0F..0A10 -*2 0A13..0A28 - 0A2A..0A30 - 0A32..0A33 - 0A35..0A36 - "
            "0A38..0A39 0A3C - 0A3E..0A42 -*4 0A47..0A48 -*2 0A4B..0A4D 0A51 0A70..0A74",
        ),
        # Tamil
        11: _filled(
            _LOCKING_FRAME,
            "- 0B82..0B83 0B85..0B8A -*3 0B8E..0B90 - 0B92..0B95 -*3 0B99..0B9A - 0B9C - 0B9E..0B9F -*3 "
            "0BA3..0BA4 -*3 0BA8..0BAA -*3 0BAE..0BB9 -*2 0BBE..0BC2 -*3 0BC6..0BC8 - 0BCA..0BCD "
            "0BD0 0BD7 0BF0..0BF2 0BF9",
        ),
        # Telugu
        12: _filled(
            _LOCKING_FRAME,
            "0C01..0C03 0C05..0C0C - 0C0E..0C10 - 0C12..0C28 - 0C2A..0C33 - 0C35..0C39 - "
            "0C3D..0C44 - 0C46..0C48 - 0C4A..0C4D 0C55..0C56 0C60..0C63",
        ),
        # Urdu
        13: _filled(
            _LOCKING_FRAME,
            "0627 0622 0628 067B 0680 067E 06A6 062A 06C2 067F 0679 067D 067A 067C 062B..062C 0681 0684 0683 "
            "0685..0687 062D..062F 068C 0688..068A 068F 068D 0630..0631 0691 0693 0699 0632 0696 0698 069A "
            "0633..0639 0641..0642 06A9..06AB 06AF 06B3 06B1 0644..0646 06BA..06BC 0648 06C4 06D5 06C1 06BE "
            "0621 06CC 06D0 06D2 064D 0650 064F 0657 0654 0655 0651 0653 0656 0670",
        ),
    }
)
"""Locking shift tables by national language identifier: the alphabet of a whole message. Spanish has none."""

SINGLE = MappingProxyType(
    {
        0: _table(_EXTENSION),
        # Turkish
        1: _table(_EXTENSION | _pairs("47Ğ 49İ 53Ş 63ç 67ğ 69ı 73ş")),
        # Spanish
        2: _table(_EXTENSION | _pairs("09ç 41Á 49Í 4FÓ 55Ú 61á 69í 6Fó 75ú")),
        # Portuguese
        3: _table(
            _EXTENSION
            | _pairs(
                "05ê 09ç 0BÔ 0Cô 0EÁ 0Fá 12Φ 13Γ 15Ω 16Π 17Ψ 18Σ 19Θ 1FÊ 41À 49Í 4FÓ 55Ú 5BÃ 5CÕ 61Â "
                "69í 6Fó 75ú 7Bã 7Cõ 7Fâ"
            )
        ),
        # From here on in the order of LOCKING.
        4: _filled(_SHIFT_FRAME, "09E6..09EF 09DF..09E3 09F2..09FA"),
        5: _filled(_SHIFT_FRAME, "0964..0965 0AE6..0AEF"),
        6: _filled(_SHIFT_FRAME, "0964..096F 0951..0954 0958..0963 0970..0971"),
        7: _filled(_SHIFT_FRAME, "0964..0965 0CE6..0CEF 0CDE 0CF1..0CF2"),
        8: _filled(_SHIFT_FRAME, "0964..0965 0D66..0D75 0D7A..0D7F"),
        9: _filled(_SHIFT_FRAME, "0964..0965 0B66..0B6F 0B5C..0B5D 0B5F 0B70..0B71"),
        10: _filled(_SHIFT_FRAME, "0964..0965 0A66..0A6F 0A59..0A5C 0A5E 0A75"),
        11: _filled(_SHIFT_FRAME, "0964..0965 0BE6..0BEF 0BF3..0BF8 0BFA"),
        12: _filled(_SHIFT_FRAME, "-*2 0C66..0C6F 0C58..0C59 0C78..0C7F"),
        13: _filled(
            _SHIFT_FRAME,
            "0600..0601 06F0..06F9 060C..0614 061B 061F 0640 0652 0658 066B..066C 0672..0673 06CD 06D4",
        ),
    }
)
"""Single shift tables by national language identifier: the meaning of one septet after ESCAPE."""
