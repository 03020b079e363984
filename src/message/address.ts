/**
 * Addresses as headers have them: `Ann <ann@here.test>, bob@far.test` (RFC 5322 3.4, with UTF-8 as RFC 6532 has it).
 *
 * Rules
 * 1. Linear in the length of the text: each character is looked at once, whatever is nested in what.
 * 2. A list is read as a whole or not at all: half a list of recipients would be wrong without a word.
 * 3. What is in quotes, in a comment or in an encoded word is never an address, whatever it holds: words are decoded when all is parsed.
 * 4. Groups are taken apart; a group inside a group is refused (RFC 5322 3.4 has none).
 * 5. What is read is a mailbox that SMTP can carry. By the categories of the isemail suite, beside `parseMailbox` for the strict form:
 *
 *      category          parseMailbox     parseAddressList
 *      VALID, DNSWARN    taken            taken
 *      RFC5321           taken            taken
 *      CFWS              refused          taken: comments and folding are left out
 *      DEPREC            refused          blanks and comments around dots and "@", words in quotes joined by dots; not controls in quotes,
 *                                         nor an IPv6 literal whose "::" stands for one group
 *      RFC5322           refused          refused: other literals, overlong labels and domains (a long local part is taken by both)
 *      ERR               refused          refused
 *
 *    Also read, for they stand in real mail: empty members of a list, routes, dots in names (RFC 5322 4.4).
 */
import { formatMailbox, isAtext, type Mailbox, parseMailbox, plainLocalPart } from "../mail/mailbox.ts";
import { decodeWords } from "./decode-words.ts";

export interface NamedMailbox {
  /** The display name without quotes, encoded words decoded. A name that came encoded may hold anything, a line break too. */
  readonly name?: string;
  readonly mailbox: Mailbox;
}

export type AddressList =
  | { readonly ok: true; readonly addresses: readonly NamedMailbox[] }
  | { readonly ok: false; readonly error: string };

interface Token {
  readonly kind: "atom" | "quoted" | "literal" | "comment" | "special";
  /** Quotes and brackets included; a comment without its outer parentheses. */
  readonly text: string;
  /** Nothing stands between this token and the one before. */
  readonly joined: boolean;
}

/** The mailboxes of a list; groups are taken apart. The error is a sentence about the first thing that is wrong. */
export function parseAddressList(text: string): AddressList {
  const tokens = tokenize(text);
  return typeof tokens === "string" ? { ok: false, error: tokens } : new ListParser(tokens).parse();
}

const SPECIALS = '<>,:;@()[]"\\';

function tokenize(text: string): Token[] | string {
  const tokens: Token[] = [];
  let end = 0;
  for (let i = 0; i < text.length; ) {
    const c = text[i] as string;
    const joined = i === end;
    if (c === " " || c === "\t") {
      i++;
      continue;
    }
    if (c === "\r" || c === "\n") {
      if (!isFold(text, i)) return "a line break stands in it";
      i += 2;
      continue;
    }
    const stop =
      c === '"' ? endOfDelimited(text, i, '"') : c === "[" ? endOfDelimited(text, i, "]") : c === "(" ? endOfComment(text, i) : 0;
    if (stop === BROKEN) return "a line break or a NUL stands in it";
    if (stop < 0) return `${c === '"' ? "a quotation mark" : c === "[" ? "a bracket" : "a parenthesis"} is not closed`;
    if (stop > 0) {
      const kind = c === '"' ? "quoted" : c === "[" ? "literal" : "comment";
      tokens.push({ kind, text: kind === "comment" ? text.slice(i + 1, stop - 1) : text.slice(i, stop), joined });
      i = stop;
    } else if (SPECIALS.includes(c)) {
      tokens.push({ kind: "special", text: c, joined });
      i++;
    } else {
      const start = i;
      while (i < text.length && (text[i] === "." || isAtext(text.charCodeAt(i)))) i++;
      if (i === start) return `the character ${JSON.stringify(c)} cannot stand in an address`;
      tokens.push({ kind: "atom", text: text.slice(start, i), joined });
    }
    end = i;
  }
  return tokens;
}

/** RFC 5322 3.2.2: CRLF with a blank behind it. */
const isFold = (text: string, i: number): boolean =>
  text[i] === "\r" && text[i + 1] === "\n" && (text[i + 2] === " " || text[i + 2] === "\t");

/** A line break or NUL stands where quotes and comments have none. */
const BROKEN = -2;

function isBroken(text: string, i: number): boolean {
  const c = text[i];
  return c === "\0" || (c === "\r" && !isFold(text, i)) || (c === "\n" && text[i - 1] !== "\r");
}

function endOfDelimited(text: string, start: number, close: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === close) return i + 1;
    if (isBroken(text, i)) return BROKEN;
  }
  return -1;
}

function endOfComment(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i + 1;
    if (isBroken(text, i)) return BROKEN;
  }
  return -1;
}

class ListParser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #inGroup = false;
  readonly #addresses: NamedMailbox[] = [];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): AddressList {
    while (this.#at < this.#tokens.length) {
      const error = this.#member();
      if (error !== undefined) return { ok: false, error };
    }
    return this.#inGroup ? { ok: false, error: "a group is not closed by a semicolon" } : { ok: true, addresses: this.#addresses };
  }

  /** One member with what ends it: a comma, a semicolon, the colon of a group, or the end. */
  #member(): string | undefined {
    const words: Token[] = [];
    let comment: string | undefined;
    let mailbox: Mailbox | undefined;
    let name: string | undefined;
    for (;;) {
      const token = this.#tokens[this.#at++];
      if (token === undefined || (token.kind === "special" && (token.text === "," || token.text === ";"))) {
        if (token?.text === ";") {
          if (!this.#inGroup) return "a semicolon stands outside a group";
          this.#inGroup = false;
        }
        if (mailbox === undefined) return words.length === 0 ? undefined : `${quote(words)} is not an address: it has no @`;
        const shown = name ?? comment;
        this.#addresses.push(shown === undefined || shown === "" ? { mailbox } : { name: shown, mailbox });
        return undefined;
      }
      if (token.kind === "comment") {
        comment = decodeWords(unfold(token.text).replace(/\\(.)/gs, "$1")).trim();
        continue;
      }
      if (mailbox !== undefined) return `something follows the address ${formatMailbox(mailbox)} without a comma`;
      if (token.kind !== "special") {
        words.push(token);
        continue;
      }
      if (token.text === ":" && !this.#inGroup && words.length > 0) {
        this.#inGroup = true;
        return undefined;
      }
      const found = token.text === "<" ? this.#angle() : token.text === "@" ? this.#domain(words) : `${token.text} stands in a wrong place`;
      if (typeof found === "string") return found;
      mailbox = found;
      if (token.text === "<") name = phrase(words);
    }
  }

  /** After "<": a route, the address, ">". */
  #angle(): Mailbox | string {
    let local: Token[] = [];
    for (;;) {
      const token = this.#tokens[this.#at++];
      if (token === undefined) return "an angle bracket is not closed";
      if (token.kind === "comment") continue;
      if (token.kind !== "special") local.push(token);
      else if (token.text === "@" && local.length === 0) {
        const error = this.#skipRoute();
        if (error !== undefined) return error;
        local = [];
      } else if (token.text === "@") {
        const mailbox = this.#domain(local);
        if (typeof mailbox === "string") return mailbox;
        while (this.#tokens[this.#at]?.kind === "comment") this.#at++;
        return this.#tokens[this.#at++]?.text === ">" ? mailbox : `an angle bracket is not closed after ${formatMailbox(mailbox)}`;
      } else return local.length === 0 ? "the angle brackets are empty" : `${quote(local)} is not an address: it has no @`;
    }
  }

  /** RFC 5322 4.4: `<@one,@two:user@domain>`; the route is left out. */
  #skipRoute(): string | undefined {
    for (;;) {
      const token = this.#tokens[this.#at++];
      if (token === undefined || token.text === ">") return "a route has no address after it";
      if (token.kind === "special" && token.text === ":") return undefined;
    }
  }

  /** After "@": the domain; the words before it are the local part. */
  #domain(words: readonly Token[]): Mailbox | string {
    let domain = "";
    let last = ".";
    for (;;) {
      const token = this.#tokens[this.#at];
      // A comment after a domain that may be whole is left: in front of a comma it is the name (RFC 5322 3.4).
      if (token?.kind === "comment" && last.endsWith(".")) {
        this.#at++;
        continue;
      }
      const fits = token?.kind === "literal" ? domain === "" : token?.kind === "atom" && touches(last, token.text);
      if (token === undefined || !fits) break;
      domain += token.text;
      last = token.text;
      this.#at++;
    }
    const local = joinLocalPart(words);
    const mailbox = local === undefined ? undefined : parseMailbox(`${local}@${domain}`);
    return mailbox ?? `${quote(words)}@${domain} is not an address`;
  }
}

/** RFC 5322 4.4: words joined by dots, with spaces around them. RFC 5321 has quotes around the whole or none: so it is written. */
function joinLocalPart(words: readonly Token[]): string | undefined {
  let local = "";
  let plain = "";
  let last = "."; // looked at by itself: to look at the end of a text that grows would copy it each time
  for (const { kind, text } of words) {
    if (!touches(last, text)) return undefined;
    last = text;
    local += text;
    plain += kind === "quoted" ? plainLocalPart(text) : text;
  }
  const mixed = words.length > 1 && words.some(({ kind }) => kind === "quoted");
  if (!mixed) return local;
  // `a."b"` and `"a.b"` are one local part; a dot too many is none in either form.
  if (local.startsWith(".") || local.endsWith(".") || local.includes("..")) return undefined;
  return parseMailbox(`${plain}@a`) === undefined ? `"${plain.replace(/["\\]/g, "\\$&")}"` : plain;
}

const touches = (before: string, after: string): boolean => before.endsWith(".") || after.startsWith(".");

/** The name that these words are. Encoded words are decoded where they stand free, not in quotes (RFC 2047 5). */
function phrase(words: readonly Token[]): string {
  let text = "";
  let atoms = "";
  const flush = () => {
    if (atoms !== "") text += (text === "" ? "" : " ") + decodeWords(atoms);
    atoms = "";
  };
  for (const word of words) {
    if (word.kind !== "quoted") {
      atoms += atoms === "" || (word.joined && word.text.startsWith(".")) ? word.text : ` ${word.text}`;
      continue;
    }
    flush();
    text += (text === "" ? "" : " ") + unfold(plainLocalPart(word.text));
  }
  flush();
  return text;
}

const unfold = (text: string): string => (text.includes("\r") ? text.replaceAll("\r\n", "") : text);

const quote = (words: readonly Token[]): string => words.map((word) => word.text).join(" ");
