/**
 * How DSN parameters are written.
 *
 * Rules
 * 1. xtext (RFC 3461 4): printable ASCII in which "+" and two upper-case hex digits stand for an octet.
 * 2. An address of the type "utf-8" (RFC 6533 3) has its own: `\x{20AC}` stands for a character. It is always written in
 *    ASCII, so that a next hop without SMTPUTF8 takes it; it is read with UTF-8 in it, too.
 */
import { fromUtf8, utf8 } from "../util/bytes.ts";

/** The octets as text, or `undefined` where it is not xtext or not UTF-8. */
export function decodeXtext(text: string): string | undefined {
  const octets: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 43) {
      const hex = text.slice(i + 1, i + 3);
      if (!/^[0-9A-F]{2}$/.test(hex)) return undefined;
      octets.push(Number.parseInt(hex, 16));
      i += 2;
    } else if (c < 33 || c > 126 || c === 61) return undefined;
    else octets.push(c);
  }
  return fromUtf8(Uint8Array.from(octets));
}

export function encodeXtext(text: string): string {
  let out = "";
  for (const octet of utf8(text)) {
    const plain = octet > 32 && octet < 127 && octet !== 43 && octet !== 61;
    out += plain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** utf-8-addr-xtext or utf-8-addr-unitext as text, or `undefined` where it names no character. */
export function decodeUtf8Address(text: string): string | undefined {
  let good = true;
  const decoded = text.replace(/\\x\{([0-9A-F]{2,6})\}/g, (_, hex: string) => {
    const point = Number.parseInt(hex, 16);
    good &&= point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
    return good ? String.fromCodePoint(point) : "";
  });
  return good ? decoded : undefined;
}

/** utf-8-addr-xtext: "+", "=" and "\" are characters to be written as such, too. */
export function encodeUtf8Address(text: string): string {
  return text.replace(/[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu, (character) => {
    return `\\x{${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(2, "0")}}`;
  });
}
