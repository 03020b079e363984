/**
 * A server that takes mail for anyone and keeps the last of it in memory: the recipient's server of the try-out.
 *
 * Rules
 * 1. Nothing leaves it and nothing is written to disk. What is kept is limited in number and in octets; the oldest goes first.
 * 2. It is a server of its own: its name, its certificate and its port share nothing with the server that sends to it.
 */
import { memoryContent } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { EventSink } from "../mail/event.ts";
import type { MessageId, NewMessage } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { selfSignedCertificate } from "../net/certificate.ts";
import { serverContext } from "../net/tls-context.ts";
import { accept, type ContentSink, refuse } from "../server/policy.ts";
import { SmtpServer } from "../server/smtp-server.ts";

/** One message as it came. */
export interface Arrival {
  readonly id: MessageId;
  readonly envelope: Envelope;
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  readonly at: number;
}

export interface InboxOptions {
  readonly host: string;
  readonly port: number;
  /** Its name. */
  readonly hostname: string;
  readonly onArrival: (arrival: Arrival) => void;
  readonly events?: EventSink;
  /** Messages kept. */
  readonly keep?: number;
}

/** Messages kept where nothing is said. */
export const KEPT_MESSAGES = 100;
/** Octets kept in all. */
export const KEPT_OCTETS = 64 * 1024 * 1024;

export class Inbox {
  readonly #server: SmtpServer;
  readonly #options: InboxOptions;
  readonly #arrivals: Arrival[] = [];
  #octets = 0;

  constructor(options: InboxOptions) {
    this.#options = options;
    const { host, port, hostname, events } = options;
    const made = selfSignedCertificate({ names: [hostname] });
    this.#server = new SmtpServer(
      {
        listeners: [{ kind: "smtp", endpoint: { host, port } }],
        policy: { mail: () => accept, rcpt: () => accept },
        credentials: { verify: async () => ({ kind: "rejected", why: "nobody logs in here" }) },
        intake: {
          receive: sinkInMemory,
          accept: async (message) => this.#accept(message),
          refusal: (error) => refuse(reply(451, "4.3.0", "The inbox cannot take it now"), String(error)),
        },
        certificate: serverContext({ ...made, certificateLabel: "the inbox's certificate", keyLabel: "its key" }),
        ...(events === undefined ? {} : { events }),
      },
      { hostname },
    );
  }

  /** Known after `start`. */
  get port(): number {
    return this.#server.addresses[0]?.port ?? this.#options.port;
  }

  /** Those kept, oldest first. */
  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** Throws a ListenError. */
  start(): Promise<void> {
    return this.#server.start();
  }

  stop(deadline: number): Promise<void> {
    return this.#server.stop(deadline);
  }

  #accept({ id, envelope, content }: NewMessage): undefined {
    const chunks = content.kind === "memory" ? content.chunks : [];
    const arrival: Arrival = { id, envelope, chunks, size: content.size, at: Date.now() };
    this.#arrivals.push(arrival);
    this.#octets += arrival.size;
    while (this.#arrivals.length > (this.#options.keep ?? KEPT_MESSAGES) || (this.#octets > KEPT_OCTETS && this.#arrivals.length > 1)) {
      this.#octets -= this.#arrivals.shift()?.size ?? 0;
    }
    this.#options.onArrival(arrival);
  }
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
