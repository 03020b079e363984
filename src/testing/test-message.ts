/**
 * A message that a `TestServer` took.
 *
 * Rules
 * 1. `content` is what the client sent; the Received field that the server put in front of it stands apart.
 */
import type { BodyType, Recipient } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { NewMessage } from "../mail/message.ts";
import { fieldText, readHeaderSection } from "../message/header-section.ts";
import { concat, fromUtf8Lossy } from "../util/bytes.ts";
import type { KeptEnvelope } from "./local-sender.ts";

export class TestMessage {
  readonly envelope: KeptEnvelope;
  readonly content: Uint8Array;
  /** Who logged in; `undefined` where nobody has to. */
  readonly user: string | undefined;
  /** What MAIL and RCPT said besides the addresses. */
  readonly parameters: {
    readonly body: BodyType;
    readonly smtpUtf8: boolean;
    readonly ret: "FULL" | "HDRS" | undefined;
    readonly envelopeId: string | undefined;
    readonly recipients: readonly Recipient[];
  };
  /** The server's own Received field: the client's name and address, and whether it spoke TLS. */
  readonly received: string;

  constructor({ envelope, content, origin }: NewMessage) {
    const { reversePath, recipients, body, smtpUtf8, ret, envelopeId } = envelope;
    this.envelope = {
      from: reversePath === null ? "" : formatMailbox(reversePath),
      to: recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    };
    this.user = origin.kind === "submission" ? origin.account : undefined;
    this.parameters = { body, smtpUtf8, ret, envelopeId, recipients };
    const whole = concat(content.kind === "memory" ? content.chunks : []);
    const first = readHeaderSection(whole).section.find("received");
    this.received = first === undefined ? "" : fieldText(first).trim();
    this.content = whole.subarray(first?.raw.length ?? 0);
  }

  /** The content as UTF-8. */
  text(): string {
    return fromUtf8Lossy(this.content);
  }
}
