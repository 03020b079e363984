/**
 * The mark of a message that is quarantined: a field for the next hop, which knows the recipient's folders and we do not.
 *
 * Rules
 * 1. A field of this name that came from outside is taken out before (`HeaderSection.without`): only ours counts.
 * 2. The text is ASCII on folded lines; what is not becomes "?".
 */
import { FOLD_AT } from "../../message/trace.ts";
import { utf8 } from "../../util/bytes.ts";

export const QUARANTINE_FIELD = "X-Postrider-Quarantine";
/** Characters of a reason that are written. */
export const QUARANTINE_REASON_LIMIT = 500;

/** `X-Postrider-Quarantine: yes (reason)` with its CRLF. */
export function quarantineField(reason: string): Uint8Array {
  const text = reason
    .slice(0, QUARANTINE_REASON_LIMIT)
    .replace(/[^\x20-\x7e]/g, "?")
    .replace(/[()\\]/g, "\\$&");
  let field = `${QUARANTINE_FIELD}:`;
  let column = field.length;
  for (const word of `yes (${text})`.split(" ")) {
    if (word === "") continue;
    if (column + 1 + word.length > FOLD_AT) {
      field += "\r\n\t";
      column = 1;
    } else {
      field += " ";
      column++;
    }
    field += word;
    column += word.length;
  }
  return utf8(`${field}\r\n`);
}
