/**
 * Plays a dialogue's client to our ServerSession and checks what the server says.
 *
 * Settings
 *   port = 25 | 587 | 465      what the port asks for: 25 offers TLS and knows no AUTH, 587 and 465 require both (default 25)
 *   tls = "none"               and the other ServerSessionOptions by their names: maxSize, maxRecipients, maxErrors, leniencies, ...
 *   local = ["here.test"]      domains taken on 25; others, but for postmaster: 550 5.7.1
 *   refuse = ["x@here.test"]   recipients answered 550 5.1.1;  defer = [...]  450 4.2.1;  refuseSender = [...]  550 5.7.1
 *   users = {"user": "pass"}   who may log in; tokens = {"token": "user"}; certificate = "user": whose the client's certificate is.
 *                              SCRAM asks for a salt, and every proof is wrong
 *   data = "451 4.3.0 Later"   answers DATA, or the first BDAT;  stored = "452 4.3.1 Full"  answers the end of the content
 *   abort = "452 4.3.1 Full"   the content is given up when its first piece comes
 *   greeting = "late"          the server greets only at the step `greet`;  greeting = "554 5.3.2 No"  turns the client away
 *
 * Steps
 *   greet                      the late greeting
 *   tls                        the handshake: the server must be ready for it, and both have done it
 *   message from=<a@b> to=<c@d> to=<e@f> text="..."   the next message that was taken; parameters: body= ret= envid= utf8=yes
 *                              hold= (seconds or a date) by= (seconds;mode;trace) priority=, and behind a to=: notify= orcpt=
 *   closed                     the server has closed the connection; a dialogue that does not say so must leave it open
 *
 * Rules
 * 1. Every line that the server says and every message that it takes must be in the dialogue.
 */
import assert from "node:assert/strict";
import { formatReversePath, type Recipient } from "../../src/mail/envelope.ts";
import { formatMailbox, type Mailbox } from "../../src/mail/mailbox.ts";
import { type Reply, reply, replyFromLines } from "../../src/mail/reply.ts";
import type { LoginClaim } from "../../src/protocol/sasl/mechanism.ts";
import { type MailCommand, type ServerEvent, ServerSession, type ServerSessionOptions } from "../../src/protocol/server-session.ts";
import { fromLatin1, latin1, utf8 } from "../../src/util/bytes.ts";
import { type Manner, Transcript } from "./replay.ts";
import { type Dialogue, matches, octetsOf, type Step, type Word } from "./script.ts";

interface Policy {
  readonly port?: 25 | 587 | 465;
  readonly local?: readonly string[];
  readonly refuse?: readonly string[];
  readonly defer?: readonly string[];
  readonly refuseSender?: readonly string[];
  readonly users?: Readonly<Record<string, string>>;
  readonly tokens?: Readonly<Record<string, string>>;
  readonly certificate?: string;
  readonly data?: string;
  readonly stored?: string;
  readonly abort?: string;
  readonly greeting?: string;
}

const ports: Readonly<Record<25 | 587 | 465, Partial<ServerSessionOptions>>> = {
  25: { tls: "offered", authentication: "none" },
  587: { tls: "required", authentication: "required" },
  465: { tls: "required", authentication: "required", secured: true },
};

/** One replay of one dialogue; throws where it differs. */
export function replayServer(dialogue: Dialogue, manner: Manner): void {
  new ServerReplay(dialogue, manner).run();
}

class ServerReplay {
  readonly #dialogue: Dialogue;
  readonly #manner: Manner;
  readonly #policy: Policy;
  readonly #session: ServerSession;
  readonly #said = new Transcript();
  readonly #messages: string[] = [];
  #handshake = false;
  #closed = false;
  #mail: MailCommand | undefined;
  #recipients: Recipient[] = [];
  #content = "";

  constructor(dialogue: Dialogue, manner: Manner) {
    const { port, local, refuse, defer, refuseSender, users, tokens, certificate, data, stored, abort, greeting, ...options } =
      dialogue.config as Policy & Partial<ServerSessionOptions>;
    const policy = { port, local, refuse, defer, refuseSender, users, tokens, certificate, data, stored, abort, greeting };
    this.#policy = Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
    this.#dialogue = dialogue;
    this.#manner = manner;
    this.#session = new ServerSession({ hostname: "mail.here.test", ...ports[port ?? 25], ...options });
  }

  run(): void {
    const { greeting } = this.#policy;
    if (greeting !== "late") this.#session.greet(greeting === undefined ? undefined : replyOf(greeting));
    this.#take(Number.POSITIVE_INFINITY);
    const { steps } = this.#dialogue;
    for (let at = 0; at < steps.length; ) {
      const from = at;
      while (isClient(steps[at])) at++;
      if (at > from) this.#play(steps.slice(from, at));
      else this.#check(steps[at++] as Step);
    }
    assert.equal(this.#said.rest, "", "the server says more than the dialogue has");
    assert.deepEqual(this.#messages, [], "the server took a message that the dialogue does not have");
    assert.equal(this.#session.closing, this.#closed, "the connection is open");
  }

  #play(steps: readonly Step[]): void {
    let segment = "";
    for (const step of steps)
      if (step.kind === "client" || step.kind === "client-raw") segment += octetsOf(step.text) + (step.kind === "client" ? "\r\n" : "");
    const pieces = this.#manner.cut(latin1(segment));
    for (const [index, piece] of pieces.entries()) {
      this.#session.receive(piece);
      this.#take(index === pieces.length - 1 ? Number.POSITIVE_INFINITY : this.#manner.events());
    }
  }

  #take(most: number): void {
    for (let i = 0; i < most; i++) {
      const event = this.#session.next();
      const output = this.#session.takeOutput();
      if (output !== undefined) this.#said.add(fromLatin1(output));
      if (event === undefined) break;
      this.#decide(event);
    }
    const output = this.#session.takeOutput();
    if (output !== undefined) this.#said.add(fromLatin1(output));
  }

  #decide(event: ServerEvent): void {
    switch (event.type) {
      case "starttls":
        this.#handshake = true;
        return;
      case "auth": {
        const account = this.#accountOf(event.claim);
        const good = account !== undefined && (event.authorization === "" || event.authorization === account);
        return good ? this.#session.authenticated(account) : this.#session.refuse(reply(535, "5.7.8", "Wrong user name or password"));
      }
      case "salt":
        return this.#session.salted({ salt: latin1("salt"), iterations: 4096 });
      case "mail":
        return this.#answer(this.#sender(event.mail), () => {
          this.#mail = event.mail;
        });
      case "rcpt":
        return this.#answer(this.#recipient(event.recipient.mailbox), () => this.#recipients.push(event.recipient));
      case "data":
        return this.#answer(this.#policy.data, () => {});
      case "content":
        if (this.#policy.abort !== undefined) this.#session.refuseContent(replyOf(this.#policy.abort));
        this.#content += fromLatin1(event.chunk);
        return;
      case "content-end":
        assert.equal(event.size, this.#content.length);
        this.#answer(this.#policy.stored, () => this.#messages.push(this.#describe()));
        return this.#forget();
      case "reset":
        return this.#forget();
      case "refused":
        return;
    }
  }

  #accountOf(claim: LoginClaim): string | undefined {
    const { users = {}, tokens = {}, certificate } = this.#policy;
    switch (claim.kind) {
      case "password":
        return users[claim.user] === claim.password ? claim.user : undefined;
      case "token":
        return claim.user === "" || tokens[claim.token] === claim.user ? tokens[claim.token] : undefined;
      case "certificate":
        return certificate;
      case "scram":
        return undefined;
    }
  }

  #answer(refusal: string | undefined, taken: () => void): void {
    if (refusal !== undefined) return this.#session.refuse(replyOf(refusal));
    taken();
    this.#session.accept();
  }

  #sender(mail: MailCommand): string | undefined {
    const path = mail.reversePath;
    return path !== null && this.#policy.refuseSender?.includes(formatMailbox(path)) ? "550 5.7.1 Not from there" : undefined;
  }

  #recipient(mailbox: Mailbox): string | undefined {
    const { port = 25, local = ["here.test"], refuse = [], defer = [] } = this.#policy;
    if (refuse.includes(formatMailbox(mailbox))) return "550 5.1.1 No such user";
    if (defer.includes(formatMailbox(mailbox))) return "450 4.2.1 Not now";
    const relayed = mailbox.domain !== "" && !local.includes(mailbox.domain.toLowerCase());
    return port === 25 && relayed ? "550 5.7.1 Relaying denied" : undefined;
  }

  #forget(): void {
    this.#mail = undefined;
    this.#recipients = [];
    this.#content = "";
  }

  #describe(): string {
    const { reversePath, body, smtpUtf8, ret, envelopeId, hold, deliverBy, priority } = this.#mail as MailCommand;
    const words = [`from=${formatReversePath(reversePath)}`];
    if (body !== "7BIT") words.push(`body=${body}`);
    if (smtpUtf8) words.push("utf8=yes");
    if (ret !== undefined) words.push(`ret=${ret}`);
    if (envelopeId !== undefined) words.push(`envid=${envelopeId}`);
    if (hold !== undefined) words.push(`hold=${hold.kind === "for" ? hold.seconds : new Date(hold.at).toISOString()}`);
    if (deliverBy !== undefined) words.push(`by=${deliverBy.seconds};${deliverBy.mode}${deliverBy.trace ? ";trace" : ""}`);
    if (priority !== undefined) words.push(`priority=${priority}`);
    for (const { mailbox, notify, originalRecipient } of this.#recipients) {
      words.push(`to=<${formatMailbox(mailbox)}>`);
      if (notify !== undefined) words.push(`notify=${notify.length === 0 ? "never" : notify.join(",")}`);
      if (originalRecipient !== undefined) words.push(`orcpt=${originalRecipient.type};${originalRecipient.address}`);
    }
    return `${fromLatin1(utf8(words.join(" ")))} text=${JSON.stringify(this.#content)}`;
  }

  #check(step: Step): void {
    const where = `line ${step.line}`;
    switch (step.kind) {
      case "server": {
        const line = this.#said.line();
        assert.ok(line !== undefined, `${where}: the server says nothing instead of ${step.text}`);
        assert.ok(matches(step.text, line), `${where}: the server says ${JSON.stringify(line)} instead of ${step.text}`);
        return;
      }
      case "more":
        for (let line = this.#said.line(); line?.[3] !== " "; line = this.#said.line()) {
          assert.equal(line?.[3], "-", `${where}: the reply ends unexpectedly`);
        }
        return;
      case "step":
        return this.#step(step.name, step.words, where);
      default:
        throw new Error(`${where}: not a step here`);
    }
  }

  #step(name: string, words: readonly Word[], where: string): void {
    switch (name) {
      case "greet":
        this.#session.greet();
        return this.#take(Number.POSITIVE_INFINITY);
      case "tls":
        assert.ok(this.#handshake, `${where}: the server is not ready for TLS`);
        assert.equal(this.#said.rest, "", `${where}: the server says something before the handshake`);
        this.#handshake = false;
        this.#session.upgraded();
        return this.#take(Number.POSITIVE_INFINITY);
      case "message":
        assert.equal(this.#messages.shift(), describeWords(words), `${where}: the next message`);
        return;
      case "closed":
        assert.equal(this.#session.closing, true, `${where}: the server has not closed the connection`);
        this.#closed = true;
        return;
      default:
        throw new Error(`${where}: there is no step ${name}`);
    }
  }
}

/** The same form that a message has after it was taken. */
function describeWords(words: readonly Word[]): string {
  const text = words.find((word) => word.name === "text")?.value ?? "";
  const others = words.filter((word) => word.name !== "text").map(({ name, value }) => `${name}=${octetsOf(value)}`);
  return `${others.join(" ")} text=${JSON.stringify(octetsOf(text))}`;
}

function isClient(step: Step | undefined): boolean {
  return step?.kind === "client" || step?.kind === "client-raw";
}

/** `550 5.1.1 No such user` as a reply. */
export function replyOf(text: string): Reply {
  return replyFromLines(Number(text.slice(0, 3)), [text.slice(4)]);
}
