/** What `sendMail` gives, in Nodemailer's shapes. */
import type { Readable } from "node:stream";
import type { RecipientReport, SendResult } from "../client/send-result.ts";
import { describeReply, type Reply } from "../mail/reply.ts";
import { type NodemailerError, recipientError } from "./errors.ts";
import type { SentEnvelope } from "./mail-message.ts";

/** Of any transport. */
export interface SentMessageInfo {
  /** With its angle brackets. */
  messageId: string;
  envelope: SentEnvelope | { from: string; to: string[] };
}

export interface SmtpSentMessageInfo extends SentMessageInfo {
  envelope: { from: string; to: string[] };
  accepted: string[];
  rejected: string[];
  /** Where `rejected` has someone. */
  rejectedErrors?: NodemailerError[];
  /** Never anybody: who is not reached is rejected. */
  pending: string[];
  /** What the server offers, a line each. */
  ehlo: string[];
  /** Milliseconds until the content began to be sent; connecting and logging in are in it where they were needed. */
  envelopeTime: number;
  /** Milliseconds from there to the reply. */
  messageTime: number;
  /** Octets. */
  messageSize: number;
  /** The last positive reply. */
  response: string;
}

export interface StreamSentMessageInfo extends SentMessageInfo {
  /** A Buffer where `buffer` is set. */
  message: Readable | Buffer;
}

export interface JsonSentMessageInfo extends SentMessageInfo {
  /** A string, unless `skipEncoding` is set. */
  message: string | Record<string, unknown>;
}

/** Measured while it was sent. */
export interface Measured {
  readonly ehlo: readonly string[];
  /** Octets of the content. */
  readonly size: number;
  readonly envelopeTime: number;
  readonly messageTime: number;
}

/** The info of a message that somebody has taken. */
export function smtpInfo(result: SendResult, { ehlo, size, envelopeTime, messageTime }: Measured): SmtpSentMessageInfo {
  const accepted = result.recipients.filter(({ status }) => status === "accepted");
  const rejected = result.recipients.filter(({ status }) => status !== "accepted");
  const last = accepted.at(-1);
  return {
    accepted: accepted.map(({ address }) => address),
    rejected: rejected.map(({ address }) => address),
    pending: [],
    ehlo: [...ehlo],
    ...(rejected.length === 0 ? {} : { rejectedErrors: rejected.map(errorOf) }),
    envelopeTime,
    messageTime,
    messageSize: size,
    response: last === undefined ? "" : describeReply(replyOf(last) ?? { code: 250, text: last.text }),
    envelope: { from: result.envelope.from, to: [...result.envelope.to] },
    messageId: result.messageId,
  };
}

function errorOf(report: RecipientReport): NodemailerError {
  const reply = replyOf(report);
  const said = reply === undefined ? report.text : describeReply(reply);
  return recipientError(report.address, `<${report.address}> was refused: ${said}`, reply, "RCPT TO");
}

function replyOf({ code, enhancedCode, text }: RecipientReport): Reply | undefined {
  return code === undefined ? undefined : { code, ...(enhancedCode === undefined ? {} : { status: enhancedCode }), text };
}
