/**
 * Reads the dialogues of this folder: plain text, one file a topic, several dialogues a file.
 *
 *   === RCPT refused, the rest pipelined (RFC 2920 3.1)     begins a dialogue and names it
 *   # a comment
 *   config local = ["here.test"]                            a setting, as JSON; server.ts and client.ts list them
 *   -> EHLO client.test                                     the client's line; a CRLF ends it
 *   => half a li                                            the client's octets, nothing added
 *   <- 250-*                                                the server's line; "*" matches any text where it is checked
 *   <= 250 o                                                the server's octets, nothing added
 *   ...                                                     any further lines of the reply just begun, its last one included
 *   tls                                                     any other word is a step; server.ts and client.ts list them
 *
 * Rules
 * 1. Whoever is not under test is played: lines of the same direction that follow one another go out in the same segment.
 * 2. In lines: `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN` (an octet), and `\{60*ab}` for 60 times "ab". All else is UTF-8.
 * 3. Texts are kept as octets, one character each.
 */
import { fromLatin1, utf8 } from "../../src/util/bytes.ts";

export type Step =
  | { readonly kind: "client" | "server"; readonly text: string; readonly line: number }
  /** A text whose end is not a CRLF of its own. */
  | { readonly kind: "client-raw" | "server-raw"; readonly text: string; readonly line: number }
  | { readonly kind: "more"; readonly line: number }
  | { readonly kind: "step"; readonly name: string; readonly words: readonly Word[]; readonly text: string; readonly line: number };

/** `name=value` or, where there is no name, a bare word. Values are not unescaped. */
export interface Word {
  readonly name: string;
  readonly value: string;
}

export interface Dialogue {
  readonly title: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: readonly Step[];
  readonly line: number;
}

const arrows = { "->": "client", "=>": "client-raw", "<-": "server", "<=": "server-raw" } as const;

export function readDialogues(source: string): Dialogue[] {
  const dialogues: { title: string; config: Record<string, unknown>; steps: Step[]; line: number }[] = [];
  for (const [index, raw] of source.split("\n").entries()) {
    const line = index + 1;
    const text = raw.trim() === "" ? "" : raw;
    if (text === "" || text.startsWith("#")) continue;
    if (text.startsWith("=== ")) {
      dialogues.push({ title: text.slice(4).trim(), config: {}, steps: [], line });
      continue;
    }
    const current = dialogues.at(-1);
    if (current === undefined) throw new Error(`line ${line}: a dialogue begins with === and its name`);
    const setting = /^config\s+(\w+)\s*=\s*(.*)$/.exec(text);
    if (setting === null) current.steps.push(readStep(text, line));
    else current.config[setting[1] as string] = JSON.parse(setting[2] as string);
  }
  return dialogues;
}

function readStep(text: string, line: number): Step {
  if (text.trim() === "...") return { kind: "more", line };
  const kind = arrows[text.slice(0, 2) as keyof typeof arrows];
  if (kind !== undefined) return { kind, text: fromLatin1(utf8(text.slice(3))), line };
  const [name = "", ...words] = text.match(/(?:[^\s"]+|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return { kind: "step", name, words: words.map(readWord), text: fromLatin1(utf8(text.trim())), line };
}

function readWord(word: string): Word {
  const [, name = "", value = ""] = /^(?:([a-z0-9]+)=)?(.*)$/s.exec(word) ?? [];
  const bare = value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
  return { name, value: fromLatin1(utf8(bare)) };
}

/** The octets that a text stands for. */
export function octetsOf(text: string): string {
  const single: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\", '"': '"' };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|\{(\d+)\*([^}]*)\}|(.))/g, (all, hex, count, repeated, one) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (count !== undefined) return octetsOf(repeated as string).repeat(Number(count));
    const character = single[one as string];
    if (character === undefined) throw new Error(`unknown escape ${all}`);
    return character;
  });
}

/** Whether `actual` is `pattern`, in which "*" stands for any text and escapes for their octets. */
export function matches(pattern: string, actual: string): boolean {
  const parts = pattern.split("*").map((part) => octetsOf(part));
  const [first = "", ...rest] = parts;
  if (!actual.startsWith(first)) return false;
  if (rest.length === 0) return actual === first;
  const last = rest.pop() as string;
  let at = first.length;
  for (const part of rest) {
    const found = actual.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return actual.length - at >= last.length && actual.endsWith(last);
}
