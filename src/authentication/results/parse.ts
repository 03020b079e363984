/**
 * Reads Authentication-Results (RFC 8601 2.2), and ARC-Authentication-Results (RFC 8617 4.1.1).
 *
 * Rules
 * 1. A field is read as a whole or not at all.
 * 2. What other servers write is read a little more loosely than the grammar has it: values hold what stands up to the next space
 *    or semicolon (`header.b=ab/cd=`), an identity may be of any characters.
 * 3. Linear in the length of the text; at most RESULT_LIMIT results of PROPERTY_LIMIT properties.
 */
import type { AuthenticationResults, MethodResult, ResultProperty } from "./results.ts";
import { RESULT_LIMIT } from "./write.ts";

export const PROPERTY_LIMIT = 50;

export type ParsedResults =
  | { readonly ok: true; readonly results: AuthenticationResults }
  /** A sentence about the first thing that is wrong. */
  | { readonly ok: false; readonly error: string };

/** The value of a field, folded or not. */
export function parseAuthenticationResults(value: string): ParsedResults {
  try {
    return { ok: true, results: readResults(new Scanner(value)) };
  } catch (error) {
    if (error instanceof ResultsError) return { ok: false, error: error.message };
    throw error;
  }
}

export type ParsedArcResults =
  | { readonly ok: true; readonly instance: number; readonly results: AuthenticationResults }
  | { readonly ok: false; readonly error: string };

/** The value of an ARC-Authentication-Results field: an instance, then the same. */
export function parseArcAuthenticationResults(value: string): ParsedArcResults {
  const [head = "", digits] = /^\s*i\s*=\s*(\d{1,2})\s*;/i.exec(value) ?? [];
  if (digits === undefined) return { ok: false, error: "it does not begin with an instance (i=1;)" };
  const parsed = parseAuthenticationResults(value.slice(head.length));
  return parsed.ok ? { ok: true, instance: Number(digits), results: parsed.results } : parsed;
}

/** Who a field says has checked, even where the rest of it cannot be read; `undefined` where even that cannot. */
export function claimedAuthservId(value: string): string | undefined {
  try {
    const scanner = new Scanner(value);
    const id = scanner.value("the name of the checker");
    return id === "" ? undefined : id;
  } catch (error) {
    if (error instanceof ResultsError) return undefined;
    throw error;
  }
}

class ResultsError extends Error {
  override readonly name = "ResultsError";
}

function readResults(scanner: Scanner): AuthenticationResults {
  const authservId = scanner.value("the name of the checker");
  scanner.skip();
  const version = scanner.run(/\d+/y);
  if (version !== undefined && version !== "1") throw new ResultsError(`it is of version ${version}, which is not known`);
  const methods: MethodResult[] = [];
  while (!scanner.ended) {
    scanner.expect(";");
    if (scanner.ended) break; // a last semicolon too many
    const method = scanner.keyword("a method");
    scanner.skip();
    if (scanner.ended && method === "none" && methods.length === 0) break;
    if (methods.length >= RESULT_LIMIT) throw new ResultsError(`it holds more than ${RESULT_LIMIT} results`);
    methods.push(readMethod(method, scanner));
  }
  return { authservId, methods };
}

function readMethod(method: string, scanner: Scanner): MethodResult {
  if (scanner.take("/")) {
    scanner.skip();
    if (scanner.run(/\d+/y) !== "1") throw new ResultsError(`${method} is of a version that is not known`);
  }
  scanner.expect("=");
  const result = scanner.keyword(`the result of ${method}`);
  let reason: string | undefined;
  const properties: ResultProperty[] = [];
  for (;;) {
    scanner.skip();
    if (scanner.ended || scanner.next === ";") break;
    const name = scanner.keyword(`a property of ${method}`);
    scanner.skip();
    if (name === "reason" && scanner.take("=")) {
      reason = scanner.value("a reason");
      continue;
    }
    scanner.expect(".");
    const property = scanner.keyword(`a property of ${method}`);
    scanner.expect("=");
    if (properties.length >= PROPERTY_LIMIT) throw new ResultsError(`${method} has more than ${PROPERTY_LIMIT} properties`);
    properties.push({ type: name, property, value: scanner.value(`${name}.${property}`) });
  }
  return { method, result, ...(reason !== undefined && { reason }), properties };
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    this.skip();
    return this.#at >= this.#text.length;
  }

  get next(): string | undefined {
    return this.#text[this.#at];
  }

  /** CFWS: spaces, folds and comments inside one another. */
  skip(): void {
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#text[this.#at] as string;
      if (c === "(") depth++;
      else if (depth > 0) {
        if (c === "\\") this.#at++;
        else if (c === ")") depth--;
      } else if (c !== " " && c !== "\t" && c !== "\r" && c !== "\n") return;
    }
    if (depth > 0) throw new ResultsError("a comment is not closed");
  }

  take(c: string): boolean {
    this.skip();
    if (this.#text[this.#at] !== c) return false;
    this.#at++;
    return true;
  }

  expect(c: string): void {
    if (!this.take(c)) throw new ResultsError(`"${c}" is missing before "${this.#text.slice(this.#at, this.#at + 20)}"`);
  }

  run(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0];
    if (text !== undefined) this.#at += text.length;
    return text;
  }

  keyword(what: string): string {
    this.skip();
    const text = this.run(/[A-Za-z0-9_-]+/y);
    if (text === undefined) throw new ResultsError(`${what} is missing before "${this.#text.slice(this.#at, this.#at + 20)}"`);
    return text.toLowerCase();
  }

  /** A quoted string, a run of characters, or the former before the latter (`"a b"@example.org`). */
  value(what: string): string {
    this.skip();
    let text = "";
    let any = false;
    if (this.next === '"') {
      any = true;
      text = this.#quoted();
    }
    const run = this.run(/[^\s;()"]+/y);
    if (run === undefined && !any) throw new ResultsError(`${what} is missing`);
    return text + (run ?? "");
  }

  #quoted(): string {
    let text = "";
    for (let i = this.#at + 1; i < this.#text.length; i++) {
      const c = this.#text[i] as string;
      if (c === '"') {
        this.#at = i + 1;
        return text;
      }
      if (c === "\\") i++;
      if (c !== "\r" && c !== "\n") text += this.#text[i] ?? "";
    }
    throw new ResultsError("a quotation mark is not closed");
  }
}
