/**
 * Which messages: one language for the command line, the control socket and programs.
 *
 *   to:gmail.com age>1h error~"rate limit"          all of them must hold
 *   (from:a@b.test or account:ann) not state:active
 *
 *   to, from       an address, a domain, *.domain for those below it, or <> (from)
 *   domain         the recipient's domain, as `to`
 *   account        who submitted it
 *   id             a message's id
 *   state          active | deferred | held
 *   is             bounce | local | submitted | received
 *   age, due       > >= < <= and a duration: 90s, 5m, 4h, 2d. `due` is how long until the next attempt
 *   size           > >= < <= and octets: 500, 20K, 3M
 *   attempts       > >= < <= = and a number
 *   error, reason  : or ~ and a part of the last reason, or of why it is held; case does not count
 *
 * Rules
 * 1. A message is meant where one of its recipients fits all of it.
 * 2. Nothing in it takes more than linear time: there are no regular expressions.
 */
import { domainKey, isDomain } from "../mail/domain.ts";
import { type Mailbox, mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { Origin } from "../mail/message.ts";
import { parseDuration } from "../util/duration.ts";
import type { QueuedRecipientSummary, QueuedSummary } from "./store.ts";

export class FilterError extends Error {
  override readonly name = "FilterError";
  /** Where in the text, from 0. */
  readonly at: number;

  constructor(text: string, at: number) {
    super(text);
    this.at = at;
  }
}

export interface Filter {
  matches(message: QueuedSummary, now: number): boolean;
}

/** Characters of a filter. */
export const FILTER_LIMIT = 10_000;
/** Brackets and `not` within one another. */
const DEPTH_LIMIT = 50;

type Test = (message: QueuedSummary, recipient: QueuedRecipientSummary, now: number) => boolean;

/** Throws a FilterError. An empty text means every message. */
export function parseFilter(text: string): Filter {
  if (text.length > FILTER_LIMIT) throw new FilterError(`a filter has at most ${FILTER_LIMIT} characters`, FILTER_LIMIT);
  const tokens = tokenize(text);
  const test: Test = tokens.length === 0 ? () => true : new Parser(tokens, text.length).parse();
  return { matches: (message, now) => message.recipients.some((recipient) => test(message, recipient, now)) };
}

interface Token {
  readonly kind: "(" | ")" | "and" | "or" | "not" | "term";
  readonly field: string;
  readonly operator: string;
  readonly value: string;
  readonly at: number;
}

const word = /\s*(?:([()])|(and|or|not)(?=[\s()]|$)|([a-z]+)(>=|<=|[:~=<>])(?:"((?:[^"\\]|\\.)*)"|([^\s()"]+)))/iy;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== "") {
    word.lastIndex = at;
    const found = word.exec(text);
    const start = at + (text.slice(at).length - text.slice(at).trimStart().length);
    if (found === null)
      throw new FilterError(`expected a condition such as to:example.test or age>1h at "${text.slice(start, start + 20)}"`, start);
    const [, bracket, connective, field = "", operator = "", quoted, plain = ""] = found;
    const kind = (bracket ?? connective?.toLowerCase() ?? "term") as Token["kind"];
    tokens.push({ kind, field: field.toLowerCase(), operator, value: quoted?.replace(/\\(.)/g, "$1") ?? plain, at: start });
    at = word.lastIndex;
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #end: number;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], end: number) {
    this.#tokens = tokens;
    this.#end = end;
  }

  parse(): Test {
    const test = this.#either();
    const left = this.#peek();
    if (left !== undefined) throw new FilterError("this bracket was not opened", left.at);
    return test;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #either(): Test {
    const tests = [this.#all()];
    while (this.#peek()?.kind === "or") {
      this.#next++;
      tests.push(this.#all());
    }
    return tests.length === 1 ? (tests[0] as Test) : (...given) => tests.some((test) => test(...given));
  }

  #all(): Test {
    const tests = [this.#one()];
    for (let token = this.#peek(); token !== undefined && token.kind !== "or" && token.kind !== ")"; token = this.#peek()) {
      if (token.kind === "and") this.#next++;
      tests.push(this.#one());
    }
    return tests.length === 1 ? (tests[0] as Test) : (...given) => tests.every((test) => test(...given));
  }

  #one(): Test {
    const token = this.#peek();
    if (token === undefined) throw new FilterError("expected a condition at the end", this.#end);
    this.#next++;
    if (++this.#depth > DEPTH_LIMIT) throw new FilterError(`brackets stand at most ${DEPTH_LIMIT} deep`, token.at);
    try {
      if (token.kind === "term") return termOf(token);
      if (token.kind === "not") {
        const test = this.#one();
        return (...given) => !test(...given);
      }
      if (token.kind !== "(") throw new FilterError(`expected a condition, not "${token.kind}"`, token.at);
      const test = this.#either();
      if (this.#peek()?.kind !== ")") throw new FilterError("this bracket is not closed", token.at);
      this.#next++;
      return test;
    } finally {
      this.#depth--;
    }
  }
}

/** What may stand before an operator, in the order in which it is listed where something else does. */
const fields: ReadonlyMap<string, (token: Token) => Test> = new Map<string, (token: Token) => Test>([
  ["to", ofRecipient],
  ["from", ofSender],
  ["domain", ofRecipient],
  ["account", ofAccount],
  ["id", ofId],
  ["state", ofState],
  ["is", ofOrigin],
  ["age", (token) => inTime(token, ({ arrived }, _recipient, now) => now - arrived)],
  ["due", (token) => inTime(token, (_message, { due }, now) => due - now)],
  ["size", (token) => inOrder(token, { unit: octets, expected: "octets such as 500, 20K or 3M" }, ({ size }) => size)],
  ["attempts", (token) => inOrder(token, { unit: whole, expected: "a number" }, (_message, { attempts }) => attempts)],
  ["error", (token) => containing(token, (_message, { last }) => last)],
  ["reason", (token) => containing(token, ({ hold }) => hold?.reason)],
]);

function termOf(token: Token): Test {
  const make = fields.get(token.field);
  if (make === undefined) throw new FilterError(`there is no field "${token.field}": ${[...fields.keys()].join(", ")}`, token.at);
  return make(token);
}

function mustBe({ field, operator, at }: Token, ...allowed: readonly string[]): void {
  if (!allowed.includes(operator)) throw new FilterError(`${field} is followed by ${allowed.join(" or ")}, not by ${operator}`, at);
}

function ofRecipient(token: Token): Test {
  mustBe(token, ":", "=");
  const fits = addressTest(token);
  return (_message, { mailbox }) => fits(mailbox);
}

function ofSender(token: Token): Test {
  mustBe(token, ":", "=");
  if (token.value === "<>") return ({ from }) => from === null;
  const fits = addressTest(token);
  return ({ from }) => from !== null && fits(from);
}

function ofAccount(token: Token): Test {
  mustBe(token, ":", "=");
  const account = token.value.toLowerCase();
  return ({ origin }) => origin.kind === "submission" && origin.account === account;
}

function ofId(token: Token): Test {
  mustBe(token, ":", "=");
  const wanted = token.value.toUpperCase();
  return ({ id }) => id === wanted;
}

function ofState(token: Token): Test {
  const { value, at } = token;
  mustBe(token, ":", "=");
  if (!["active", "deferred", "held"].includes(value)) throw new FilterError(`a state is active, deferred or held, not "${value}"`, at);
  return (_message, { state }) => state === value;
}

const origins: Readonly<Record<string, Origin["kind"]>> = { bounce: "bounce", local: "local", submitted: "submission", received: "smtp" };

function ofOrigin(token: Token): Test {
  const { value, at } = token;
  mustBe(token, ":");
  const kind = Object.hasOwn(origins, value) ? origins[value] : undefined;
  if (kind === undefined) throw new FilterError(`is: expects bounce, local, submitted or received, not "${value}"`, at);
  return ({ origin }) => origin.kind === kind;
}

type Found<T> = (...of: Parameters<Test>) => T;

function inTime(token: Token, found: Found<number>): Test {
  return inOrder(token, { unit: duration, expected: "a duration such as 90s, 5m, 4h or 2d" }, found);
}

function inOrder(
  token: Token,
  { unit, expected }: { readonly unit: (text: string) => number | undefined; readonly expected: string },
  found: Found<number>,
): Test {
  const { field, operator, value, at } = token;
  mustBe(token, ">", ">=", "<", "<=", "=");
  const limit = unit(value);
  if (limit === undefined) throw new FilterError(`${field}${operator} expects ${expected}, not "${value}"`, at);
  const holds = comparison(operator, limit);
  return (...of) => holds(found(...of));
}

function containing(token: Token, found: Found<string | undefined>): Test {
  mustBe(token, ":", "~");
  const part = token.value.toLowerCase();
  return (...of) =>
    found(...of)
      ?.toLowerCase()
      .includes(part) ?? false;
}

function addressTest({ field, value, at }: Token): (mailbox: Mailbox) => boolean {
  if (value.includes("@") && field !== "domain") {
    const mailbox = parseMailbox(value);
    if (mailbox === undefined) throw new FilterError(`"${value}" is no address`, at);
    const key = mailboxKey(mailbox);
    return (one) => mailboxKey(one) === key;
  }
  const below = value.startsWith("*.");
  const name = below ? value.slice(2) : value;
  if (!isDomain(name)) throw new FilterError(`"${value}" is neither an address nor a domain`, at);
  const key = domainKey(name);
  return ({ domain }) => (below ? domainKey(domain).endsWith(`.${key}`) : domainKey(domain) === key);
}

function comparison(operator: string, limit: number): (found: number) => boolean {
  switch (operator) {
    case ">":
      return (found) => found > limit;
    case ">=":
      return (found) => found >= limit;
    case "<":
      return (found) => found < limit;
    case "<=":
      return (found) => found <= limit;
    default:
      return (found) => found === limit;
  }
}

/** As in the configuration; case does not count in a filter. */
const duration = (text: string): number | undefined => parseDuration(text.toLowerCase());

function octets(text: string): number | undefined {
  const [, count = "", unit = ""] = /^(\d{1,12})([kmg]?)b?$/i.exec(text) ?? [];
  return count === "" ? undefined : Number(count) * 1000 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
}

function whole(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
