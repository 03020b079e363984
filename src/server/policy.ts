/**
 * What a server asks of whoever runs it: who may come in, who is who, what is taken for whom, and where it goes.
 *
 * Rules
 * 1. Each answer is a decision or a promise of one. A promise that rejects is answered 451 and never means "continue".
 * 2. What the peer hears (`reply`) and what the operator reads (`why`) are two things.
 */
import type { Content } from "../mail/content.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { ListenerKind } from "../mail/event.ts";
import type { MessageId, NewMessage, QueuedBefore } from "../mail/message.ts";
import type { Reply } from "../mail/reply.ts";
import type { HeaderSection } from "../message/header-section.ts";
import type { ScramParameters } from "../protocol/sasl/mechanism.ts";
import type { MailCommand } from "../protocol/server-session.ts";
import type { ClientCertificate, TlsFacts } from "../util/byte-stream.ts";

export type Decision = { readonly kind: "accept"; readonly reply?: Reply } | Refusal;
export type Refusal = { readonly kind: "refuse"; readonly reply: Reply; readonly why: string };

/** RCPT may be taken in another name: `postmaster` is whoever does that work. */
export type RcptDecision = Decision | { readonly kind: "accept"; readonly as: Recipient };

export const accept: Decision = { kind: "accept" };

export function refuse(reply: Reply, why: string): Refusal {
  return { kind: "refuse", reply, why };
}

/** Who is on the other side, as far as is known by now. */
export interface Peer {
  /** Names the session in events. */
  readonly session: string;
  readonly listener: ListenerKind;
  readonly address: string;
  readonly port: number;
  /** What EHLO or HELO said; "" before. */
  readonly helo: string;
  /** EHLO, not HELO. */
  readonly extended: boolean;
  readonly tls: TlsFacts | undefined;
  /** The account that logged in. */
  readonly account: string | undefined;
}

export interface Policy {
  /** MAIL FROM. */
  mail(peer: Peer, mail: MailCommand): Decision | Promise<Decision>;
  /** RCPT TO. */
  rcpt(peer: Peer, mail: MailCommand, recipient: Recipient): RcptDecision | Promise<RcptDecision>;
}

export type LoginResult =
  | { readonly kind: "accepted"; readonly account: string }
  | { readonly kind: "rejected"; readonly why: string }
  /** It could not be checked now. */
  | { readonly kind: "unavailable"; readonly why: string };

/**
 * Who is who. Each check takes the time it takes to slow a guesser down, and knows the peer by its address. PLAIN and LOGIN are offered
 * always, each of the others where its check is there.
 */
export interface Credentials {
  /** Checks a password. */
  verify(login: { readonly user: string; readonly password: string; readonly peer: string }): Promise<LoginResult>;
  /** SCRAM-SHA-256, and SCRAM-SHA-256-PLUS where the TLS session can be bound. */
  readonly scram?: ScramCredentials;
  /** OAUTHBEARER and XOAUTH2. `user` is "" where the token alone says who it is. */
  readonly bearer?: {
    verify(login: { readonly user: string; readonly token: string; readonly peer: string }): Promise<LoginResult>;
  };
  /** EXTERNAL, for a certificate that is someone's. Asked once, after the TLS handshake. */
  readonly certificates?: {
    ownerOf(certificate: ClientCertificate): Promise<LoginResult>;
  };
}

export interface ScramCredentials {
  /** What the user's key was derived with; for an unknown user too, and always the same. */
  parametersOf(login: { readonly user: string; readonly peer: string }): Promise<KeyParameters>;
  /** Checks a proof; `signature` is what the server proves itself with (RFC 5802 3). */
  verify(login: {
    readonly user: string;
    readonly authMessage: Uint8Array;
    readonly proof: Uint8Array;
    readonly peer: string;
  }): Promise<ProofResult>;
}

export type KeyParameters = (ScramParameters & { readonly kind: "parameters" }) | Extract<LoginResult, { kind: "unavailable" }>;

export type ProofResult =
  | { readonly kind: "accepted"; readonly account: string; readonly signature: Uint8Array }
  | Exclude<LoginResult, { kind: "accepted" }>;

/** A message whose content begins: its envelope is complete. */
export interface Arrival {
  readonly id: MessageId;
  readonly peer: Peer;
  readonly mail: MailCommand;
  readonly recipients: readonly Recipient[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Who looks at content: to check it, or to sign it. */
export interface Inspector {
  /** `undefined`: this message is not looked at. */
  begin(arrival: Arrival): Inspection | undefined;
}

/** One content being looked at while it arrives. */
export interface Inspection {
  /**
   * The header section is there: as it came, and the octets that would be kept of it. Gives those that are kept, or why the message is not
   * taken. What it gives must not be changed afterwards, nor what it is given.
   */
  header(section: HeaderSection, kept: readonly Uint8Array[]): readonly Uint8Array[] | Refusal | Promise<readonly Uint8Array[] | Refusal>;
  /** Octets of the body, as they came. */
  body(chunk: Uint8Array): void;
  /** All of it is here. Gives what goes in front of it, before our Received, or why the message is not taken. Rejecting is answered 451. */
  end(): Promise<readonly Uint8Array[] | Refusal>;
  /** Where content must be all ASCII (RFC 6376 5.3): if it is not, it is encoded anew, and looked at again by what this gives. */
  readonly again?: (() => Inspection) | undefined;
}

export function isRefusal(value: readonly Uint8Array[] | Refusal): value is Refusal {
  return "kind" in value;
}

/** Where content goes while it arrives. */
export interface ContentSink {
  /** Keeps the chunk, which is not changed afterwards. A promise asks to wait for it. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** `front` goes before all that was written. */
  finish(front?: readonly Uint8Array[]): Content | Promise<Content>;
  /** Forgets the content; never throws. */
  discard(): void;
}

/** Who takes complete messages over. */
export interface Intake {
  /** `declared`: the octets that MAIL announced. Throws where nothing can be taken now. */
  receive(declared: number | undefined): ContentSink;
  /** Resolves once the message is safe on disk; with what of it was before, where its idempotency key says so. */
  accept(message: NewMessage): Promise<QueuedBefore | undefined>;
  /** What to say when `receive`, the sink or `accept` failed with this. */
  refusal(error: unknown): Refusal;
}
