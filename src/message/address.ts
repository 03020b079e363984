/**
 * Addresses as headers have them: `Ann <ann@here.test>, bob@far.test` (RFC 5322 3.4, with UTF-8 as RFC 6532 has it).
 *
 * Rules
 * 1. Linear in the length of the text: each character is looked at once, whatever is nested in what.
 * 2. Obsolete forms that stand in real mail are read: empty list members, routes, dots in names, spaces around dots and "@".
 * 3. A list is read as a whole or not at all: half a list of recipients would be wrong without a word.
 */
import { toAscii } from "../mail/domain.ts";
import { formatMailbox, isAtext, type Mailbox, parseMailbox, plainLocalPart } from "../mail/mailbox.ts";
import { isAscii } from "../util/bytes.ts";
import { encodeWords, needsEncodedWord } from "./encoded-word.ts";

export interface NamedMailbox {
  /** The display name, quotes taken off, encoded words as they are. */
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
    if (c === " " || c === "\t" || c === "\r" || c === "\n") {
      i++;
      continue;
    }
    const stop =
      c === '"' ? endOfDelimited(text, i, '"') : c === "[" ? endOfDelimited(text, i, "]") : c === "(" ? endOfComment(text, i) : 0;
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

function endOfDelimited(text: string, start: number, close: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === close) return i + 1;
  }
  return -1;
}

function endOfComment(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i + 1;
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
        comment = token.text.replace(/\\(.)/gs, "$1").trim();
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
    for (;;) {
      const token = this.#tokens[this.#at];
      // A comment after a domain that may be whole is left: in front of a comma it is the name (RFC 5322 3.4).
      if (token?.kind === "comment" && (domain === "" || domain.endsWith("."))) {
        this.#at++;
        continue;
      }
      const fits = token?.kind === "literal" ? domain === "" : token?.kind === "atom" && (domain === "" || touches(domain, token.text));
      if (token === undefined || !fits) break;
      domain += token.text;
      this.#at++;
    }
    const local = joinLocalPart(words);
    const mailbox = local === undefined ? undefined : parseMailbox(`${local}@${domain}`);
    return mailbox ?? `${quote(words)}@${domain} is not an address`;
  }
}

/** RFC 5322 4.4: spaces may stand around the dots of a local part, and nowhere else in it. */
function joinLocalPart(words: readonly Token[]): string | undefined {
  let local = "";
  for (const { kind, text } of words) {
    if (local !== "" && !touches(local, text)) return undefined;
    // A word in quotes beside others: RFC 5321 knows no such local part, the same one in quotes as a whole.
    if (kind === "quoted" && words.length > 1) return undefined;
    local += text;
  }
  return local;
}

const touches = (before: string, after: string): boolean => before.endsWith(".") || after.startsWith(".");

function phrase(words: readonly Token[]): string {
  let text = "";
  for (const word of words) {
    const plain = word.kind === "quoted" ? plainLocalPart(word.text) : word.text;
    text += text === "" || (word.joined && word.text.startsWith(".")) ? plain : ` ${plain}`;
  }
  return text;
}

const quote = (words: readonly Token[]): string => words.map((word) => word.text).join(" ");

/**
 * The address as a header has it: the name as atoms, in quotes or as encoded words, in pieces that a line may be broken between. A domain
 * outside ASCII is written in A-labels where the local part is ASCII, so that no SMTPUTF8 is needed for it.
 */
export function formatNamedMailbox(address: NamedMailbox): string[] {
  const { name, mailbox } = address;
  const domain = isAscii(mailbox.localPart) ? (toAscii(mailbox.domain) ?? mailbox.domain) : mailbox.domain;
  const text = formatMailbox({ localPart: mailbox.localPart, domain: isAscii(mailbox.domain) ? mailbox.domain : domain });
  if (name === undefined || name === "") return [text];
  return [...formatPhrase(name), `<${text}>`];
}

/** Columns for the first word of an encoded name, so that it fits on the line after `Resent-From: `. */
const NAME_ROOM = 62;

function formatPhrase(name: string): string[] {
  if (needsEncodedWord(name)) return encodeWords(name, NAME_ROOM);
  const words = name.split(" ");
  if (words.every((word) => word !== "" && [...word].every((c) => isAtext(c.charCodeAt(0))))) return words;
  return [`"${name.replace(/["\\]/g, "\\$&")}"`];
}
