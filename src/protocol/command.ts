/**
 * A command line: verb and argument (RFC 5321 4.1.1), read strictly.
 *
 * Rules
 * 1. Verbs are compared without case; white space behind the command is ignored (RFC 5321 4.1.1).
 * 2. A line that is not printable UTF-8 is no command.
 */
import { fromLatin1, fromUtf8 } from "../util/bytes.ts";

export interface Command {
  /** In upper case. */
  readonly verb: string;
  /** What follows the first space, without white space at its end; "" where there is none. */
  readonly argument: string;
}

/** The command, or `undefined` where the line holds controls or is not UTF-8. */
export function parseCommand(line: Uint8Array): Command | undefined {
  let ascii = true;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as number;
    if (c > 127) ascii = false;
    else if ((c < 32 && c !== 9) || c === 127) return undefined;
  }
  const text = ascii ? fromLatin1(line) : fromUtf8(line);
  if (text === undefined) return undefined;
  let end = 0;
  while (end < text.length && text[end] !== " " && text[end] !== "\t") end++;
  const verb = text.slice(0, end).toUpperCase();
  return { verb, argument: end === text.length ? "" : withoutEndSpace(text, end + 1) };
}

/** Without the spaces and tabs at the end: other white space of Unicode is text. */
function withoutEndSpace(text: string, from: number): string {
  let end = text.length;
  while (end > from && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  return text.slice(from, end);
}
