/**
 * The real server of this package, in memory: for tests of programs that send, whatever they send with.
 *
 * Rules
 * 1. It listens on 127.0.0.1, on a free port. Nothing is on disk, and nothing goes on from here.
 * 2. With `users` or `tokens` it is a submission server: nobody sends without a login, and nobody logs in outside TLS. Without, it takes mail
 *    from and for anyone, octet for octet.
 * 3. What is kept is limited; beyond it a message is refused with 452.
 */
import { memoryContent } from "../mail/content.ts";
import type { EventSink, ListenerKind } from "../mail/event.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { NewMessage } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { serverContext } from "../net/tls-context.ts";
import type { ServerOptions } from "../server/options.ts";
import { accept, type ContentSink, type Decision, type LoginResult, type Refusal, refuse } from "../server/policy.ts";
import { SmtpServer } from "../server/smtp-server.ts";
import { readReply } from "./reply-text.ts";
import { TEST_NAMES, testCertificate } from "./test-certificate.ts";
import { TestMessage } from "./test-message.ts";

/** A reply as text, such as "550 5.1.1 No such user"; `undefined` lets it pass. */
export type Refused = string | undefined | Promise<string | undefined>;

/** What is refused, and with which reply. What a hook throws is answered with 451. */
export interface RefuseHooks {
  /** MAIL FROM; "" is the null reverse-path. */
  readonly mail?: (from: string) => Refused;
  /** RCPT TO. */
  readonly rcpt?: (to: string, from: string) => Refused;
  /** The end of the content. */
  readonly data?: (message: TestMessage) => Refused;
}

export interface TestServerOptions {
  /** none: not offered; starttls; implicit: from the first byte. starttls where absent. */
  readonly tls?: "none" | "starttls" | "implicit";
  /** Passwords by user: PLAIN and LOGIN. */
  readonly users?: Readonly<Record<string, string>>;
  /** Bearer tokens by user: OAUTHBEARER and XOAUTH2. */
  readonly tokens?: Readonly<Record<string, string>>;
  readonly refuse?: RefuseHooks;
  /** Its name; `test.example` where absent. */
  readonly hostname?: string;
  /** Octets of a content, announced as SIZE. */
  readonly maxSize?: number;
  /** What the certificate is good for; localhost, 127.0.0.1 and ::1 where absent. */
  readonly names?: readonly string[];
  /** Messages, and octets of them, that are kept until `clear`; `MESSAGES_LIMIT` and `OCTETS_LIMIT` where absent. */
  readonly keep?: { readonly messages?: number; readonly octets?: number };
  /** Hears of connections, logins and refusals. */
  readonly events?: EventSink;
}

/** Messages that are kept until `clear`. */
export const MESSAGES_LIMIT = 10_000;
/** Octets of them in all. */
export const OCTETS_LIMIT = 512 * 1024 * 1024;
/** Milliseconds that `message` waits where nothing is said. */
export const MESSAGE_TIMEOUT = 5_000;
/** Milliseconds that connections have when the server closes. */
const CLOSE_DEADLINE = 100;

/** Carries a refusal from `accept` to `refusal`. */
class RefusedContent extends Error {
  override readonly name = "RefusedContent";
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.why);
    this.refusal = refusal;
  }
}

export class TestServer implements AsyncDisposable {
  readonly #options: TestServerOptions;
  readonly #server: SmtpServer;
  readonly #certificate: string;
  readonly #messages: TestMessage[] = [];
  #octets = 0;
  /** Messages that `message` has given out. */
  #taken = 0;
  #waiting: (() => void)[] = [];

  private constructor(options: TestServerOptions) {
    const kind = listenerOf(options);
    const { tls = "starttls", names = TEST_NAMES, hostname = "test.example", maxSize, events } = options;
    const pair = testCertificate(names);
    this.#options = options;
    this.#certificate = pair.certificate;
    const limits: Partial<ServerOptions> = maxSize === undefined ? {} : { maxSize };
    const context = serverContext({ ...pair, certificateLabel: "the test server's certificate", keyLabel: "its key" });
    this.#server = new SmtpServer(
      {
        listeners: [{ kind, endpoint: { host: "127.0.0.1", port: 0 } }],
        policy: {
          mail: (_peer, { reversePath }) => this.#ask(options.refuse?.mail?.(reversePath === null ? "" : formatMailbox(reversePath))),
          rcpt: (_peer, { reversePath }, { mailbox }) =>
            this.#ask(options.refuse?.rcpt?.(formatMailbox(mailbox), reversePath === null ? "" : formatMailbox(reversePath))),
        },
        credentials: {
          verify: async ({ user, password }) => checked(options.users, user, password),
          ...(options.tokens === undefined ? {} : { bearer: { verify: async ({ user, token }) => this.#token(user, token) } }),
        },
        intake: {
          receive: sinkInMemory,
          accept: (message) => this.#accept(message),
          refusal: (error) =>
            error instanceof RefusedContent ? error.refusal : refuse(reply(451, "4.3.0", "The hook failed"), String(error)),
        },
        ...(tls === "none" ? {} : { certificate: context }),
        ...(events === undefined ? {} : { events }),
      },
      { hostname, ...limits },
    );
  }

  /** Listens. Throws a TypeError for options that contradict one another. */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(options);
    await server.#server.start();
    return server;
  }

  get host(): string {
    return "127.0.0.1";
  }

  get port(): number {
    return this.#server.addresses[0]?.port ?? 0;
  }

  /** PEM: what a client has to trust. */
  get certificate(): string {
    return this.#certificate;
  }

  /** Connections at this moment. */
  get connections(): number {
    return this.#server.connections;
  }

  /** Those that were taken, oldest first. */
  get messages(): readonly TestMessage[] {
    return this.#messages;
  }

  /** The next message that this has not given out yet: one that is there, or the one to come. Rejects after `timeout` milliseconds. */
  async message(timeout = MESSAGE_TIMEOUT): Promise<TestMessage> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#ring();
    }, timeout);
    try {
      while (!late && this.#messages.length <= this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } finally {
      clearTimeout(timer);
    }
    const message = this.#messages[this.#taken];
    if (message === undefined) throw new Error(`no message came within ${timeout} ms; ${this.#taken} came before`);
    this.#taken++;
    return message;
  }

  /** Forgets what was taken. */
  clear(): void {
    this.#messages.length = 0;
    this.#octets = 0;
    this.#taken = 0;
  }

  /** Listens no more; connections that are open are cut. */
  close(): Promise<void> {
    return this.#server.stop(CLOSE_DEADLINE);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask(refused: Refused): Decision | Promise<Decision> {
    return refused instanceof Promise ? refused.then(decisionOf) : decisionOf(refused);
  }

  #token(user: string, token: string): LoginResult {
    const { tokens = {} } = this.#options;
    const owner = user === "" ? Object.keys(tokens).find((name) => tokens[name] === token) : user;
    return checked(tokens, owner ?? "", token);
  }

  async #accept(taken: NewMessage): Promise<undefined> {
    const message = new TestMessage(taken);
    const refused = await this.#options.refuse?.data?.(message);
    if (refused !== undefined) throw new RefusedContent(refuse(readReply(refused), "refused by the test"));
    const { messages = MESSAGES_LIMIT, octets = OCTETS_LIMIT } = this.#options.keep ?? {};
    if (this.#messages.length >= messages || this.#octets + message.content.length > octets) {
      throw new RefusedContent(refuse(reply(452, "4.3.1", "The test server keeps no more: call clear()"), "limit of messages"));
    }
    this.#messages.push(message);
    this.#octets += message.content.length;
    this.#ring();
  }

  #ring(): void {
    for (const ring of this.#waiting.splice(0)) ring();
  }
}

function listenerOf({ tls = "starttls", users, tokens }: TestServerOptions): ListenerKind {
  const logins = users !== undefined || tokens !== undefined;
  if (logins && tls === "none") throw new TypeError("users and tokens need tls: this server takes no password in clear");
  if (!logins && tls === "implicit") throw new TypeError("implicit TLS is for submission: users or tokens are needed");
  return !logins ? "smtp" : tls === "implicit" ? "submissions" : "submission";
}

function decisionOf(refused: string | undefined): Decision {
  return refused === undefined ? accept : refuse(readReply(refused), "refused by the test");
}

function checked(secrets: Readonly<Record<string, string>> = {}, user: string, secret: string): LoginResult {
  const right = Object.hasOwn(secrets, user) && secrets[user] === secret;
  return right ? { kind: "accepted", account: user } : { kind: "rejected", why: "no such user, or another secret" };
}

function sinkInMemory(): ContentSink {
  let chunks: Uint8Array[] = [];
  return {
    write: (chunk) => void chunks.push(chunk),
    finish: () => memoryContent(chunks),
    discard: () => {
      chunks = [];
    },
  };
}
