/** A relay in a temporary folder, a recipient's server that records, and a way to wait for events. For tests alone. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { SmtpConnection } from "../client/smtp-connection.ts";
import { memoryContent } from "../mail/content.ts";
import type { MailEvent } from "../mail/event.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import type { NewMessage } from "../mail/message.ts";
import { selfSignedCertificate } from "../net/certificate.ts";
import { dial } from "../net/dial.ts";
import { type ServerContext, serverContext } from "../net/tls-context.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import { accept, type RcptDecision } from "../server/policy.ts";
import { SmtpServer } from "../server/smtp-server.ts";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { Relay, type RelayOptions } from "./relay.ts";
import { openStores, type Stores } from "./stores.ts";

let context: ServerContext | undefined;

/** One certificate for all tests of a process: making one costs milliseconds. */
export function testCertificate(): ServerContext {
  if (context === undefined) {
    const { certificate, key } = selfSignedCertificate({ names: ["localhost", "127.0.0.1"] });
    context = serverContext({ certificate, key, certificateLabel: "test certificate", keyLabel: "test key" });
  }
  return context;
}

export function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text);
  if (parsed === undefined) throw new TypeError(`not a mailbox: ${text}`);
  return parsed;
}

export interface Arrived {
  readonly message: NewMessage;
  readonly text: string;
}

export interface Recipient {
  readonly port: number;
  readonly arrived: Arrived[];
  /** Resolves with the message that arrives as number `n`, from 0. */
  message(n: number): Promise<Arrived>;
}

/** A server on 25's terms that takes what `rcpt` lets it take. */
export async function startRecipient(
  t: TestContext,
  rcpt: (address: string) => RcptDecision | Promise<RcptDecision> = () => accept,
): Promise<Recipient> {
  const arrived: Arrived[] = [];
  const waiting: (() => void)[] = [];
  const server = new SmtpServer(
    {
      listeners: [{ kind: "smtp", endpoint: { host: "127.0.0.1", port: 0 } }],
      policy: { mail: () => accept, rcpt: (_peer, _mail, { mailbox: { localPart, domain } }) => rcpt(`${localPart}@${domain}`) },
      credentials: { verify: async () => ({ kind: "rejected", why: "nobody logs in here" }) },
      intake: {
        receive: () => {
          const chunks: Uint8Array[] = [];
          return { write: (chunk) => void chunks.push(chunk), finish: () => memoryContent(chunks), discard: () => {} };
        },
        accept: async (message) => {
          arrived.push({ message, text: message.content.kind === "memory" ? fromLatin1(concat(message.content.chunks)) : "" });
          for (const ring of waiting.splice(0)) ring();
        },
        refusal: (error) => ({ kind: "refuse", reply: { code: 451, text: String(error) }, why: String(error) }),
      },
    },
    { hostname: "recipient.test" },
  );
  await server.start();
  t.after(() => server.stop(0));
  const { port } = server.addresses[0] as { port: number };
  return {
    port,
    arrived,
    async message(n) {
      while (arrived.length <= n) await new Promise<void>((resolve) => waiting.push(resolve));
      return arrived[n] as Arrived;
    },
  };
}

export interface TestRelay {
  readonly folder: string;
  readonly relay: Relay;
  readonly stores: Stores;
  readonly events: MailEvent[];
  readonly ports: { readonly submission: number; readonly submissions: number; readonly smtp: number };
  /** Resolves with the first event, told already or yet to come, that passes. */
  event<T extends MailEvent["type"]>(
    type: T,
    passes?: (event: Extract<MailEvent, { type: T }>) => boolean,
  ): Promise<Extract<MailEvent, { type: T }>>;
  stop(deadline?: number): Promise<void>;
}

export const PASSWORD = "correct horse battery";
export const ALICE = "alice@example.test";

/** Starts a relay whose every route leads to `to`; the account alice@example.test is there. */
export async function startRelay(
  t: TestContext,
  to: number,
  options: Partial<RelayOptions> & { folder?: string } = {},
): Promise<TestRelay> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "postrider-relay-"));
  if (options.folder === undefined) t.after(() => rmSync(folder, { recursive: true, force: true }));
  const events: MailEvent[] = [];
  const waiting = new Set<() => void>();
  const stores = await openStores({ folder, minimumFree: 0 });
  if ((await stores.accounts.find(ALICE)) === undefined) await stores.accounts.add({ name: ALICE, password: PASSWORD });
  const endpoint = { host: "127.0.0.1", port: 0 };
  const relay = new Relay({
    hostname: "mail.example.test",
    stores,
    listeners: [
      { kind: "submission", endpoint },
      { kind: "submissions", endpoint },
      { kind: "smtp", endpoint },
    ],
    certificate: testCertificate(),
    domains: {
      local: new Set(["example.test"]),
      recipients: new Set(["info@example.test"]),
      anyRecipient: new Set(),
      postmaster: undefined,
    },
    routes: [{ domain: { kind: "any" }, to: { kind: "host", host: "127.0.0.1", port: to } }],
    ...options,
    events: (event) => {
      events.push(event);
      for (const ring of waiting) ring();
    },
  });
  await relay.start();
  let stopped: Promise<void> | undefined;
  const stop = (deadline = 500): Promise<void> => {
    stopped ??= relay.stop(deadline);
    return stopped;
  };
  t.after(() => stop());
  const [submission, submissions, smtp] = relay.addresses.map(({ port }) => port) as [number, number, number];
  return {
    folder,
    relay,
    stores,
    events,
    ports: { submission, submissions, smtp },
    async event(type, passes = () => true) {
      for (;;) {
        const found = events.find((event) => event.type === type && passes(event as Extract<MailEvent, { type: typeof type }>));
        if (found !== undefined) return found as Extract<MailEvent, { type: typeof type }>;
        await new Promise<void>((resolve) => {
          const ring = (): void => {
            waiting.delete(ring);
            resolve();
          };
          waiting.add(ring);
        });
      }
    },
    stop,
  };
}

export interface Letter {
  readonly from?: string | null;
  readonly to: readonly string[];
  readonly content?: string;
}

/** Sends over 587 as alice, or over 25 as a stranger. */
export async function send(
  relay: TestRelay,
  by: "submission" | "submissions" | "smtp",
  letter: Letter,
): Promise<readonly RecipientResult[]> {
  const login = by === "smtp" ? {} : { credentials: { user: ALICE, password: PASSWORD } };
  const tls = by === "submissions" ? "implicit" : by === "submission" ? "required" : "opportunistic";
  const connection = await SmtpConnection.open({
    host: "127.0.0.1",
    port: relay.ports[by],
    name: "client.test",
    tls,
    verify: false,
    dial,
    ...login,
  });
  const { from = ALICE, to, content = "Subject: hello\r\n\r\nHello.\r\n" } = letter;
  const envelope = {
    reversePath: from === null ? null : mailbox(from),
    recipients: to.map((address) => ({ mailbox: mailbox(address) })),
    body: "7BIT",
    smtpUtf8: false,
  } as const;
  const results = await connection.send(envelope, memoryContent([latin1(content)]));
  await connection.quit();
  return results;
}
