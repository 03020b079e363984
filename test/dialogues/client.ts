/**
 * Plays a dialogue's server to our ClientSession and checks what the client says and reports.
 *
 * Settings
 *   name = "client.test"       and the other ClientSessionOptions by their names: protocol, tls, passwordInClear
 *   user = "u"; password = "p"; mechanisms = ["LOGIN"]   the credentials
 *
 * Steps that do something
 *   send from=<a@b> to=<c@d> to=<e@f> text="..."   a transaction; also via=BDAT body= utf8=yes ret= envid= priority=,
 *                              by=60;return;trace (milliseconds from now, which is 0), behind a to=: notify= orcpt=, and upto=5 for content that stops behind its fifth octet
 *   end                        the rest of such content and its end
 *   throws send ...            the same, and it must throw a TypeError before anything is written; also `throws name ...`
 *   command NOOP               any other command
 *   hello EHLO name            with opening = "stepwise", as the next three: EHLO, HELO or LHLO
 *   starttls                   STARTTLS
 *   login user=u password=p    AUTH; also mechanisms=PLAIN,LOGIN
 *   data text="..."            DATA behind MAIL and RCPT that were sent as commands
 *   quit                       says QUIT
 *   lost                       the connection is gone
 *   idle                       checks that another transaction could begin
 *
 * Steps that check the next event, "*" standing for any text
 *   ready
 *   tls                        STARTTLS was agreed to; the handshake is made
 *   result <c@d> accepted 250 2.0.0 *       one a recipient, in order; also `refused STATE 550 5.1.1 *`, `lost STATE`, `unknown STATE`
 *   reply 250 *
 *   login-failed LASTING *     with the reply that was to blame, else with the reason
 *   failed ABOUT LASTING *     with the reply that was to blame, else with the reason
 *   closed
 *
 * Rules
 * 1. Every line that the client writes and every event must be in the dialogue.
 */
import assert from "node:assert/strict";
import type { BodyType, DeliverBy, Envelope, NotifyOn, Recipient } from "../../src/mail/envelope.ts";
import type { Mailbox } from "../../src/mail/mailbox.ts";
import type { Reply } from "../../src/mail/reply.ts";
import { type ClientEvent, ClientSession, type ClientSessionOptions, type RecipientResult } from "../../src/protocol/client-session.ts";
import { concat, fromLatin1, fromUtf8Lossy, latin1 } from "../../src/util/bytes.ts";
import { type Manner, Transcript } from "./replay.ts";
import { type Dialogue, matches, octetsOf, type Step, type Word } from "./script.ts";

interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly mechanisms?: readonly string[];
}

/** One replay of one dialogue; throws where it differs. */
export function replayClient(dialogue: Dialogue, manner: Manner): void {
  new ClientReplay(dialogue, manner).run();
}

class ClientReplay {
  readonly #dialogue: Dialogue;
  readonly #manner: Manner;
  readonly #session: ClientSession;
  readonly #said = new Transcript();
  readonly #events: string[] = [];
  #recipients: readonly string[] = [];
  #content: Uint8Array[] = [];
  #rest: Uint8Array | undefined;

  constructor(dialogue: Dialogue, manner: Manner) {
    this.#dialogue = dialogue;
    this.#manner = manner;
    this.#session = sessionOf(dialogue.config);
  }

  run(): void {
    const { steps } = this.#dialogue;
    for (let at = 0; at < steps.length; ) {
      const from = at;
      while (isServer(steps[at])) at++;
      if (at > from) this.#play(steps.slice(from, at));
      else this.#check(steps[at++] as Step);
    }
    assert.equal(this.#said.rest, "", "the client says more than the dialogue has");
    assert.deepEqual(this.#events, [], "there are events that the dialogue does not have");
  }

  #play(steps: readonly Step[]): void {
    let segment = "";
    for (const step of steps) {
      if (step.kind === "server" || step.kind === "server-raw") segment += octetsOf(step.text) + (step.kind === "server" ? "\r\n" : "");
    }
    const pieces = this.#manner.cut(latin1(segment));
    for (const [index, piece] of pieces.entries()) {
      this.#session.receive(piece);
      this.#take(index === pieces.length - 1 ? Number.POSITIVE_INFINITY : this.#manner.events());
    }
  }

  #take(most: number): void {
    for (let i = 0; i < most; i++) {
      const event = this.#session.next();
      if (event === undefined) break;
      this.#note(event);
    }
    this.#hear();
  }

  #hear(): void {
    for (const chunk of this.#session.takeOutput()) this.#said.add(fromLatin1(chunk));
  }

  #note(event: ClientEvent): void {
    switch (event.type) {
      case "starttls":
        this.#events.push("tls");
        return;
      case "send-content":
        return this.#sendContent();
      case "done":
        for (const [index, result] of event.results.entries()) this.#events.push(`result <${this.#recipients[index]}> ${textOf(result)}`);
        return;
      case "reply":
        this.#events.push(`reply ${replyText(event.reply)}`);
        return;
      case "failed": {
        const { about, lasting, reply, why } = event.failure;
        // The handshake that was begun is given up.
        if (about === "tls" && this.#events.at(-1) === "tls") this.#events.pop();
        this.#events.push(`failed ${about} ${lasting} ${reply === undefined ? why : replyText(reply)}`);
        return;
      }
      case "login-failed": {
        const { lasting, reply, why } = event.failure;
        this.#events.push(`login-failed ${lasting} ${reply === undefined ? why : replyText(reply)}`);
        return;
      }
      default:
        this.#events.push(event.type);
    }
  }

  #sendContent(): void {
    for (const piece of this.#content) this.#session.content(piece);
    if (this.#rest === undefined) this.#session.endContent();
  }

  #check(step: Step): void {
    const where = `line ${step.line}`;
    switch (step.kind) {
      case "client": {
        const line = this.#said.line();
        assert.ok(line !== undefined, `${where}: the client says nothing instead of ${step.text}`);
        assert.ok(matches(step.text, line), `${where}: the client says ${JSON.stringify(line)} instead of ${step.text}`);
        return;
      }
      case "client-raw":
        assert.ok(this.#said.take(octetsOf(step.text)), `${where}: the client says ${JSON.stringify(this.#said.rest)}`);
        return;
      case "step":
        if (!this.#act(step, where)) this.#event(step.text, where);
        return;
      default:
        throw new Error(`${where}: not a step here`);
    }
  }

  #act({ name, words }: Extract<Step, { kind: "step" }>, where: string): boolean {
    switch (name) {
      case "send":
        this.#send(words);
        break;
      case "throws":
        this.#throws(words, where);
        break;
      case "end":
        for (const piece of this.#manner.cut(this.#rest as Uint8Array)) this.#session.content(piece);
        this.#session.endContent();
        break;
      case "command":
        this.#session.command(words.map((word) => octetsOf(word.value)).join(" "));
        break;
      case "hello":
        this.#session.hello(words[0]?.value as "EHLO" | "HELO" | "LHLO", ...words.slice(1).map(({ value }) => value));
        break;
      case "starttls":
        this.#session.startTls();
        break;
      case "login": {
        const mechanisms = valueNamed(words, "mechanisms")?.split(",");
        const [user = "", password = ""] = [valueNamed(words, "user"), valueNamed(words, "password")];
        this.#session.login({ user, password, ...(mechanisms === undefined ? {} : { mechanisms }) });
        break;
      }
      case "data":
        this.#rest = undefined;
        this.#content = this.#manner.cut(latin1(octetsOf(valueNamed(words, "text") ?? "")));
        this.#session.data();
        break;
      case "quit":
        this.#session.quit();
        break;
      case "lost":
        this.#session.lost("the connection was lost");
        break;
      case "idle":
        assert.equal(this.#session.idle, true, `${where}: the session is not idle`);
        break;
      default:
        return false;
    }
    this.#take(Number.POSITIVE_INFINITY);
    return true;
  }

  #event(text: string, where: string): void {
    const event = this.#events.shift();
    assert.ok(event !== undefined, `${where}: no event instead of: ${text}`);
    assert.ok(matches(text, event), `${where}: the event is ${JSON.stringify(event)} instead of ${JSON.stringify(text)}`);
    if (event !== "tls") return;
    this.#session.upgraded();
    this.#take(Number.POSITIVE_INFINITY);
  }

  #send(words: readonly Word[]): void {
    const text = latin1(octetsOf(valueNamed(words, "text") ?? ""));
    const upto = valueNamed(words, "upto");
    this.#rest = upto === undefined ? undefined : text.subarray(Number(upto));
    this.#content = this.#manner.cut(upto === undefined ? text : text.subarray(0, Number(upto)));
    const envelope = envelopeOf(words);
    this.#recipients = words.filter(({ name }) => name === "to").map(({ value }) => value.slice(1, -1));
    this.#session.begin(envelope, {
      via: valueNamed(words, "via") === "BDAT" ? "BDAT" : "DATA",
      size: concat([text]).length,
      now: 0,
    });
  }

  #throws(words: readonly Word[], where: string): void {
    const [what, ...rest] = words;
    const act = { send: () => this.#send(rest), name: () => sessionOf({ name: octetsOf(rest[0]?.value ?? "") }) }[what?.value ?? ""];
    assert.ok(act !== undefined, `${where}: throws send, or throws name`);
    assert.throws(act, TypeError, `${where}: nothing is thrown`);
    this.#hear();
    assert.equal(this.#said.rest, "", `${where}: something was written`);
  }
}

function sessionOf(config: Readonly<Record<string, unknown>>): ClientSession {
  const { user, password = "", mechanisms, ...options } = config as Login & Partial<ClientSessionOptions>;
  const credentials = user === undefined ? {} : { credentials: { user, password, ...(mechanisms === undefined ? {} : { mechanisms }) } };
  return new ClientSession({ name: "client.test", ...options, ...credentials });
}

function isServer(step: Step | undefined): boolean {
  return step?.kind === "server" || step?.kind === "server-raw";
}

const valueNamed = (words: readonly Word[], name: string): string | undefined => words.find((word) => word.name === name)?.value;

function deliverByOf(text: string): DeliverBy {
  const [at, mode, trace] = text.split(";");
  return { at: Number(at), mode: mode === "return" ? "return" : "notify", trace: trace === "trace" };
}

function envelopeOf(words: readonly Word[]): Envelope {
  const recipients: Recipient[] = [];
  let reversePath: Mailbox | null = null;
  const others: { ret?: "FULL" | "HDRS"; envelopeId?: string; body?: BodyType; priority?: number; deliverBy?: DeliverBy } = {};
  for (const { name, value: escaped } of words) {
    const value = fromUtf8Lossy(latin1(octetsOf(escaped)));
    const last = recipients.at(-1);
    if (name === "from") reversePath = mailboxOf(value);
    else if (name === "to") recipients.push({ mailbox: mailboxOf(value) as Mailbox });
    else if (name === "priority") others.priority = Number(value);
    else if (name === "by") others.deliverBy = deliverByOf(value);
    else if (name === "body") others.body = value as BodyType;
    else if (name === "ret") others.ret = value as "FULL" | "HDRS";
    else if (name === "envid") others.envelopeId = value;
    else if (name === "notify" && last !== undefined) recipients.splice(-1, 1, { ...last, notify: notifyOf(value) });
    else if (name === "orcpt" && last !== undefined) {
      const [type = "", address = ""] = value.split(/;(.*)/s);
      recipients.splice(-1, 1, { ...last, originalRecipient: { type, address } });
    }
  }
  return { reversePath, recipients, smtpUtf8: valueNamed(words, "utf8") === "yes", body: "7BIT", ...others };
}

/** Not parsed: what a careless program could put together must be caught by the session. */
function mailboxOf(path: string): Mailbox | null {
  const address = path.slice(1, -1);
  const at = address.lastIndexOf("@");
  return address === "" ? null : { localPart: address.slice(0, at), domain: address.slice(at + 1) };
}

const notifyOf = (value: string): NotifyOn[] => (value === "never" ? [] : (value.split(",") as NotifyOn[]));

function textOf(result: RecipientResult): string {
  switch (result.kind) {
    case "accepted":
      return `accepted ${replyText(result.reply)}`;
    case "refused":
      return `refused ${result.state} ${replyText(result.reply)}`;
    default:
      return `${result.kind} ${result.state}`;
  }
}

function replyText({ code, status, text }: Reply): string {
  return fromLatin1(Buffer.from(`${code}${status === undefined ? "" : ` ${status}`} ${text}`.trimEnd()));
}
