/**
 * The recipient's server: takes any message on loopback and keeps it, as it came over the wire.
 *
 * Rules
 * 1. A message is kept with the envelope and the content, without the Received field that this server puts before it.
 * 2. What it refuses is the test's decision; nothing is delivered on.
 */
import { readContent } from "../../src/mail/content.ts";
import type { Envelope } from "../../src/mail/envelope.ts";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import type { NewMessage } from "../../src/mail/message.ts";
import { reply } from "../../src/mail/reply.ts";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import { serverContext } from "../../src/net/tls-context.ts";
import type { ServerOptions } from "../../src/server/options.ts";
import { type ContentSink, type Intake, type Policy, refuse } from "../../src/server/policy.ts";
import { SmtpServer } from "../../src/server/smtp-server.ts";
import type { Cleanup } from "./temp-folder.ts";
import { Arrivals } from "./waiting.ts";

export interface ArrivedMessage {
  readonly envelope: Envelope;
  /** Forward-paths as text. */
  readonly to: readonly string[];
  readonly from: string;
  /** The whole content. */
  readonly content: Buffer;
  /** The header section, unfolded, in latin1. */
  readonly header: string;
  readonly body: Buffer;
}

export interface RecipientServer {
  readonly host: string;
  readonly port: number;
  readonly messages: readonly ArrivedMessage[];
  /** The first message for this address. */
  messageFor(address: string): Promise<ArrivedMessage>;
  /** So many messages for this address. */
  messagesFor(address: string, count: number): Promise<ArrivedMessage[]>;
}

export interface RecipientOptions {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  /** Offers no STARTTLS. */
  readonly plain?: boolean;
  readonly policy?: Partial<Policy>;
  readonly server?: Partial<ServerOptions>;
}

/** Starts it; it is stopped after the test. */
export async function startRecipient(t: Cleanup, options: RecipientOptions = {}): Promise<RecipientServer> {
  const host = options.address ?? "127.0.0.1";
  const arrivals: Arrivals<ArrivedMessage> = new Arrivals<ArrivedMessage>(
    () => `arrived: ${arrivals.all.map(({ to }) => to.join(", ")).join("; ")}`,
  );
  const { certificate, key } = selfSignedCertificate({ names: ["localhost"] });
  const pair = { certificate, key, certificateLabel: "certificate", keyLabel: "key" };
  const accept = (): { kind: "accept" } => ({ kind: "accept" });
  const server = new SmtpServer(
    {
      listeners: [{ kind: "smtp", endpoint: { host, port: options.port ?? 0 } }],
      policy: { mail: accept, rcpt: accept, ...options.policy },
      credentials: { verify: async () => ({ kind: "rejected", why: "nobody logs in here" }) },
      intake: memoryIntake((message, chunks) => arrivals.push(arrived(message, chunks))),
      ...(options.plain === true ? {} : { certificate: serverContext(pair) }),
    },
    { hostname: options.hostname ?? "mx.recipient.test", ...options.server },
  );
  await server.start();
  t.after(() => server.stop(0));
  const isFor = (address: string) => (message: ArrivedMessage) => message.to.includes(address);
  return {
    host,
    port: server.addresses[0]?.port as number,
    messages: arrivals.all,
    messageFor: (address) => arrivals.first(`a message for ${address}`, isFor(address)),
    messagesFor: (address, count) => arrivals.atLeast(count, `${count} messages for ${address}`, isFor(address)),
  };
}

/** Keeps messages in memory, and calls back with each before its 250. */
export function memoryIntake(take: (message: NewMessage, chunks: readonly Uint8Array[]) => void): Intake {
  return {
    receive: (): ContentSink => {
      const chunks: Uint8Array[] = [];
      return {
        write: (chunk) => void chunks.push(chunk),
        finish: () => ({ kind: "memory", chunks, size: chunks.reduce((sum, chunk) => sum + chunk.length, 0) }),
        discard: () => {},
      };
    },
    async accept(message) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of readContent(message.content)) chunks.push(chunk);
      take(message, chunks);
    },
    refusal: (error) => refuse(reply(451, "4.3.0", "This test went wrong"), String(error)),
  };
}

function arrived({ envelope }: NewMessage, chunks: readonly Uint8Array[]): ArrivedMessage {
  const content = withoutFirstField(Buffer.concat(chunks));
  return {
    envelope,
    to: envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    from: envelope.reversePath === null ? "" : formatMailbox(envelope.reversePath),
    content,
    ...parts(content),
  };
}

/** Header section (unfolded) and body of a content. */
export function parts(content: Buffer): { readonly header: string; readonly body: Buffer } {
  const end = content.indexOf("\r\n\r\n");
  const header = content.subarray(0, end === -1 ? content.length : end + 2).toString("latin1");
  return { header: header.replace(/\r\n(?=[ \t])/g, ""), body: content.subarray(end === -1 ? content.length : end + 4) };
}

/** The values of a field, in order. */
export function fieldValues(header: string, name: string): string[] {
  const found = header.matchAll(new RegExp(`^${name}:[ \\t]*(.*)\\r$`, "gim"));
  return [...found].map((match) => match[1] as string);
}

function withoutFirstField(content: Buffer): Buffer {
  const match = /\r\n(?![ \t])/.exec(content.subarray(0, 4096).toString("latin1"));
  return match === null ? content : content.subarray(match.index + 2);
}
