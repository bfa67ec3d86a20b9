// How long a text counts, as the server counts it (model/text.py, model/addresses.py; a test compares the two).
// A file of its own: a browser that does not know its patterns still runs the rest.
"use strict";

(() => {
  const LINK_CHARACTERS = 23;
  const WITHIN = "\\u00b7\\u0387\\u0f0b\\u05f3\\u05f4\\u2027\\u30fb\\uff65\\u200c\\u200d";
  const WORD = `(?:(?![\\ufe00-\\ufe0f\\u20d0-\\u20ff${WITHIN}])\\p{XIDC})`;
  const LABEL = "[\\p{L}\\p{M}\\p{N}\\-]+";
  const DOMAIN = `@(?=(?<labels>(?:${LABEL}\\.(?=[\\p{L}\\p{N}]))*))\\k<labels>` +
    `(?:(?=(?<ascii>[A-Za-z0-9](?:-*[A-Za-z0-9])*))\\k<ascii>(?![\\p{Script=Latin}\\p{M}])|${LABEL})(?::\\d+)?`;
  // The scheme alone is known in capitals: a flag for all would take letters of other scripts for ASCII.
  const PATTERN = new RegExp(
    "(?<scheme>[hH][tT][tT][pP][sS]?:\\/\\/)" +
    `|(?<mention>(?<!${WORD}|[/.@])@(?=(?<name>\\w{1,30}))\\k<name>` +
    `(?=(?<domain>(?:${DOMAIN})?))\\k<domain>(?![A-Za-z0-9_@]|\\p{M}))` +
    `|(?<tag>(?<!${WORD}|[/&#＃])[#＃](?=(?<word>[\\p{L}\\p{N}_]${WORD}*(?:[${WITHIN}]{1,2}${WORD}+)*))\\k<word>)`,
    "gu");
  const AUTHORITY =
    /(?:[\p{L}\p{M}\p{N}\p{So}\p{Sk}\u200c\u200d\u00b7\u30fb._~%$&*+=:@\-]+|\[[\da-fA-F:.]+\])+/uy;
  const HOST_LETTER = /[\p{L}\p{N}\p{So}\]]/u;
  const SPOKEN = /^[A-Za-z]{2,}(?=(?!\p{Script=Latin})[\p{L}\p{So}])/u;
  const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\p{Script=Tibetan}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Balinese}\p{Script=Javanese}\u30fc\uff70]/u;
  const PAIRS = new Map();
  for (const opening of "(（⸨《〈「『【〔〖〘〚｟｢‘“‹⁅⟦⟨⟪⟬⟮❨❪❬❮❰❲❴") PAIRS.set(opening, String.fromCodePoint(opening.codePointAt(0) + 1));
  for (const [opening, closing] of ["[]", "{}", "［］", "｛｝", "«»", "〝〞"]) PAIRS.set(opening, closing);
  const CLOSINGS = new Set(PAIRS.values());
  const CLOSED_BY = new Map([...PAIRS, ["„", "“”"], ["‚", "‘’"], ["”", "”"], ["’", "’"], ["»", "«"], ["›", "‹"], ["〝", "〞〟"], ["'", "'"]]);
  const NOTABLE = /[\s<>"`\p{Cc}\u200b\u2060\ufeff\ufffe\uffff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Ps}\p{Pe}\p{Pi}\p{Pf}']|(?![\u0000-\u007f])\p{Term}/gu;
  const ENDS = /[._~%$&*+=:@\-·・]+$/u;

  const isApostrophe = (text, place) => {
    const after = String.fromCodePoint(text.codePointAt(place + 1) ?? 0);
    return /[\p{L}\p{N}]$/u.test(text.slice(Math.max(0, place - 2), place)) && /[\p{L}\p{N}]/u.test(after) && !UNSPACED.test(after);
  };

  const cut = (text, start, expected) => {
    const closings = new Map();
    NOTABLE.lastIndex = start;
    for (let match; (match = NOTABLE.exec(text));) {
      const sign = match[0], place = match.index;
      if (closings.get(sign)) closings.set(sign, closings.get(sign) - 1);
      else if ("'’".includes(sign) && isApostrophe(text, place)) continue;
      else if (expected.includes(sign)) return place;
      else if (PAIRS.has(sign)) closings.set(PAIRS.get(sign), (closings.get(PAIRS.get(sign)) ?? 0) + 1);
      else if (!")]}'".includes(sign) && !/[\p{Ps}\p{Pi}]/u.test(sign)) return place;
    }
    return text.length;
  };

  const trimmed = (text, start, end) => {
    const unopened = new Map();
    for (const sign of text.slice(start, end)) {
      if (")]}".includes(sign)) unopened.set(sign, (unopened.get(sign) ?? 0) + 1);
      else if ("([{".includes(sign)) unopened.set(PAIRS.get(sign), (unopened.get(PAIRS.get(sign)) ?? 0) - 1);
    }
    while (end > start) {
      const low = text.charCodeAt(end - 1);
      const sign = low >= 0xdc00 && low <= 0xdfff ? text.slice(end - 2, end) : text[end - 1];
      if ("([{".includes(sign)) unopened.set(PAIRS.get(sign), (unopened.get(PAIRS.get(sign)) ?? 0) + 1);
      else if (")]}".includes(sign)) {
        if ((unopened.get(sign) ?? 0) <= 0) break;
        unopened.set(sign, unopened.get(sign) - 1);
      } else if (CLOSINGS.has(sign)) break;
      else if (!".,;:!?'".includes(sign) && (sign < "\u0080" || !/\p{P}/u.test(sign))) break;
      end -= sign.length;
    }
    return end;
  };

  const addressEnd = (text, start, host) => {
    AUTHORITY.lastIndex = host;
    const found = AUTHORITY.exec(text);
    if (!found || !HOST_LETTER.test(found[0])) return host;
    const end = host + found[0].length;
    const authority = found[0].replace(ENDS, "");
    const last = authority.slice(authority.lastIndexOf(".") + 1);
    const spoken = authority.includes(".") ? SPOKEN.exec(last) : null;
    if (spoken || end === text.length || !"/?#".includes(text[end])) {
      return host + authority.length - (spoken ? last.length - spoken[0].length : 0);
    }
    return trimmed(text, end, cut(text, end, CLOSED_BY.get(text[start - 1]) ?? ""));
  };

  const segmenter = globalThis.Intl?.Segmenter ? new Intl.Segmenter("en", { granularity: "grapheme" }) : null;

  // Grapheme clusters: what people call characters.
  const characters = (text) => {
    let count = 0;
    for (const _ of segmenter ? segmenter.segment(text) : text) count += 1;
    return count;
  };

  // A link counts 23, a mention its local part.
  const length = (written) => {
    const text = written.trim();
    let rest = "", place = 0;
    PATTERN.lastIndex = 0;
    for (let match; (match = PATTERN.exec(text));) {
      const { scheme, domain } = match.groups;
      if (scheme) {
        const end = addressEnd(text, match.index, PATTERN.lastIndex);
        if (end > PATTERN.lastIndex) {
          rest += text.slice(place, match.index) + "x".repeat(LINK_CHARACTERS);
          place = PATTERN.lastIndex = end;
        }
      } else if (domain) {
        rest += text.slice(place, PATTERN.lastIndex - domain.length);
        place = PATTERN.lastIndex;
      }
    }
    return characters(rest + text.slice(place));
  };

  globalThis.stormpetrelLength = { characters, length };
})();
