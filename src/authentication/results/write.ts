/**
 * Writes Authentication-Results (RFC 8601 2.2).
 *
 * Rules
 * 1. Values come from peers and from DNS: whatever they hold, they stay inside their place. Controls and what is not ASCII
 *    become "?", so that the field is no reason for SMTPUTF8; what is no token stands in quotes.
 * 2. Lines are folded at FOLD_AT columns between words; a single word may be longer, up to VALUE_LIMIT.
 */
import { isDomain } from "../../mail/domain.ts";
import { FOLD_AT } from "../../message/trace.ts";
import { utf8 } from "../../util/bytes.ts";
import type { AuthenticationResults, MethodResult } from "./results.ts";

/** Characters kept of a value or a reason: twice that in quotes is still a line that everyone takes (RFC 5322 2.1.1). */
export const VALUE_LIMIT = 300;
/** Results written into one field. */
export const RESULT_LIMIT = 100;

/** The whole field with its CRLF. */
export function authenticationResultsField(results: AuthenticationResults): Uint8Array {
  return utf8(`Authentication-Results:${authenticationResultsText(results, "Authentication-Results:".length)}\r\n`);
}

/** The value, from the space after the colon on: for ARC-Authentication-Results, too. `column` is where it begins. */
export function authenticationResultsText(results: AuthenticationResults, column = 0): string {
  const line = new Folded(column);
  const methods = results.methods.slice(0, RESULT_LIMIT);
  line.add(`${resultValue(results.authservId)};`);
  if (methods.length === 0) line.add("none");
  for (const [i, method] of methods.entries()) {
    line.fold();
    const words = methodWords(method);
    const last = words.length - 1;
    for (const [k, word] of words.entries()) line.add(k === last && i < methods.length - 1 ? `${word};` : word);
  }
  return line.text;
}

/** The same on one line, from the name of the checker on: what an ARC sealer takes. */
export function unfoldedResults(results: AuthenticationResults): string {
  return authenticationResultsText(results).replaceAll("\r\n\t", " ").trim();
}

function methodWords({ method, result, reason, properties }: MethodResult): string[] {
  const words = [`${keyword(method)}=${keyword(result)}`];
  if (reason !== undefined && reason !== "") words.push(`reason=${quoted(clean(reason))}`);
  for (const { type, property, value } of properties) words.push(`${keyword(type)}.${keyword(property)}=${resultValue(value)}`);
  return words;
}

class Folded {
  text = "";
  #column: number;

  constructor(column: number) {
    this.#column = column;
  }

  add(word: string): void {
    if (this.#column > 1 && this.#column + 1 + word.length > FOLD_AT) this.fold();
    const space = this.#column === 1 && this.text.endsWith("\t") ? "" : " ";
    this.text += space + word;
    this.#column += space.length + word.length;
  }

  fold(): void {
    this.text += "\r\n\t";
    this.#column = 1;
  }
}

const keyword = (text: string): string => text.toLowerCase().replace(/[^a-z0-9_-]/g, "-") || "x";

function clean(text: string): string {
  return text.slice(0, VALUE_LIMIT).replace(/[^\x20-\x7e]/g, "?");
}

const token = /^[A-Za-z0-9!#$%&'*+.^_`{|}~-]+$/;
const dotAtom = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

/** A value as RFC 8601 2.2 has it: a token, `local@domain`, or a quoted string. */
export function resultValue(value: string): string {
  const text = clean(value);
  if (token.test(text)) return text;
  const at = text.lastIndexOf("@");
  if (at >= 0 && (at === 0 || dotAtom.test(text.slice(0, at))) && isDomain(text.slice(at + 1))) return text;
  return quoted(text);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
