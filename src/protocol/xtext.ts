/** xtext, RFC 3461 4: printable ASCII in which "+" and two upper-case hex digits stand for an octet. */
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
