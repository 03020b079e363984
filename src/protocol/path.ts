/**
 * The argument of MAIL and RCPT: a path and its parameters (RFC 5321 4.1.2, 4.1.1.11).
 *
 * Rules
 * 1. Strict but for the named leniencies.
 * 2. A source route is read and forgotten (RFC 5321 4.1.1.3, appendix C).
 */
import { isDomain } from "../mail/domain.ts";
import { LOCAL_PART_LIMIT, type Mailbox, PATH_LIMIT, parseMailbox } from "../mail/mailbox.ts";
import { utf8 } from "../util/bytes.ts";

/** Departures from RFC 5321 that an operator may switch. */
export interface PathLeniencies {
  /** `MAIL FROM: <a@b>`: a space behind the colon. */
  readonly spaceBeforePath: boolean;
  /** `MAIL FROM:a@b`: no angle brackets. */
  readonly noBrackets: boolean;
  /** `<a..b@d>`, `<.a@d>`: dots where RFC 5321 allows none. */
  readonly looseDots: boolean;
}

export const defaultLeniencies: PathLeniencies = { spaceBeforePath: true, noBrackets: false, looseDots: false };

export interface Parameter {
  /** In upper case. */
  readonly keyword: string;
  /** `undefined` where there was no "=". */
  readonly value: string | undefined;
}

export type PathArgument =
  | { readonly kind: "path"; readonly mailbox: Mailbox | null; readonly parameters: readonly Parameter[] }
  | { readonly kind: "malformed"; readonly what: "path" | "parameter"; readonly text: string };

const NO_PARAMETERS: readonly Parameter[] = [];

/** Reads what follows "FROM:" or "TO:". `null` is the empty path `<>`. */
export function parsePathArgument(text: string, leniencies: PathLeniencies): PathArgument {
  let at = 0;
  if (leniencies.spaceBeforePath) while (text[at] === " ") at++;
  const end = text[at] === "<" ? endOfPath(text, at) : leniencies.noBrackets ? endOfWord(text, at) : -1;
  if (end <= at) return malformed("path", text[at] === "<" ? "the path does not end in >" : "the address must stand in < and >");
  const path = text[at] === "<" ? text.slice(at + 1, end - 1) : text.slice(at, end);
  const mailbox = path === "" ? null : parsePath(path, leniencies);
  if (mailbox === undefined) return malformed("path", "not a mailbox");
  if (end === text.length) return { kind: "path", mailbox, parameters: NO_PARAMETERS };
  const parameters = text[end] === " " ? parseParameters(text.slice(end + 1)) : undefined;
  return parameters === undefined ? malformed("parameter", "malformed parameters") : { kind: "path", mailbox, parameters };
}

function malformed(what: "path" | "parameter", text: string): PathArgument {
  return { kind: "malformed", what, text };
}

/** Index behind the ">" that closes the path: one inside a quoted local part does not. */
function endOfPath(text: string, open: number): number {
  let quoted = false;
  for (let i = open + 1; i < text.length; i++) {
    const c = text[i];
    if (quoted && c === "\\") i++;
    else if (c === '"') quoted = !quoted;
    else if (c === ">" && !quoted) return i + 1;
  }
  return -1;
}

function endOfWord(text: string, from: number): number {
  const space = text.indexOf(" ", from);
  return space < 0 ? text.length : space;
}

function parsePath(path: string, leniencies: PathLeniencies): Mailbox | undefined {
  const address = path[0] === "@" ? withoutRoute(path) : path;
  if (address === undefined) return undefined;
  if (address.length === 10 && address.toLowerCase() === "postmaster") return { localPart: address, domain: "" };
  const mailbox = parseMailbox(address, leniencies);
  if (mailbox === undefined) return undefined;
  // A local part beyond 64 octets is taken (VERP, SRS) as long as the whole path keeps to its own limit.
  const tooLong = address.length * 3 + 2 > PATH_LIMIT && octets(mailbox.localPart) > LOCAL_PART_LIMIT && octets(address) + 2 > PATH_LIMIT;
  return tooLong ? undefined : mailbox;
}

const octets = (text: string): number => utf8(text).length;

/** The mailbox behind `@one,@two:`. */
function withoutRoute(path: string): string | undefined {
  const colon = path.indexOf(":");
  if (colon < 0) return undefined;
  const hops = path.slice(0, colon).split(",");
  return hops.every((hop) => hop[0] === "@" && isDomain(hop.slice(1))) ? path.slice(colon + 1) : undefined;
}

// RFC 5321 4.1.2: esmtp-keyword ["=" esmtp-value]; RFC 6531 3.3 lets values be UTF-8.
const parameterPattern = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?$/;

function parseParameters(text: string): Parameter[] | undefined {
  const parameters: Parameter[] = [];
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const [, keyword, value] = parameterPattern.exec(word) ?? [];
    if (keyword === undefined) return undefined;
    parameters.push({ keyword: keyword.toUpperCase(), value });
  }
  return parameters;
}
