/**
 * The queue's tables, and the form in which messages cross to the thread that keeps them.
 *
 * Rules
 * 1. Message, body and recipient are tables of their own: a listing reads no body, and falling due reads no message.
 * 2. Leases are not stored. One process holds the data folder, so what is leased is known in its memory and is free again when it ends; `due` stays
 *    what it was, and so a message whose delivery a crash cut off is due at once. The store for several nodes has them as columns
 *    (postgres-schema.ts).
 * 3. `due` is milliseconds since 1970, `attempts` those that have ended.
 * 4. Plain SQL: PostgreSQL has the same tables, and its rows are read here, too.
 */
import type { SqlValue } from "../database/index.ts";
import type { BodyType, Envelope, EnvelopeExtras, NotifyOn, ReversePath } from "../mail/envelope.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { firstDue, type NewMessage, type Origin, type QueuedMessage, type QueuedRecipient } from "../mail/message.ts";
import type { Hold, QueuedSummary, StandingMessage } from "./store.ts";

export const migrations: readonly string[] = [
  `
  CREATE TABLE message (
    id TEXT NOT NULL PRIMARY KEY,          -- sorts by arrival
    arrived INTEGER NOT NULL,
    from_local TEXT,                       -- NULL for <>
    from_domain TEXT,
    body_type TEXT NOT NULL,
    smtp_utf8 INTEGER NOT NULL,
    ret TEXT,
    envelope_id TEXT,
    size INTEGER NOT NULL,
    eight_bit INTEGER NOT NULL,
    eight_bit_header INTEGER NOT NULL,
    binary_content INTEGER NOT NULL,
    longest_line INTEGER NOT NULL,
    origin TEXT NOT NULL,                  -- JSON
    file TEXT,                             -- large content: name inside the folder of bodies
    body INTEGER                           -- small content, or what goes before the file's: key in body
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX message_file ON message (file) WHERE file IS NOT NULL;
  CREATE TABLE body (
    key INTEGER PRIMARY KEY,
    content BLOB NOT NULL
  ) STRICT;
  CREATE TABLE recipient (
    message TEXT NOT NULL,
    idx INTEGER NOT NULL,
    local_part TEXT NOT NULL,
    domain TEXT NOT NULL,
    notify TEXT,                           -- comma separated; '' is NEVER
    orcpt_type TEXT,
    orcpt_address TEXT,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,
    last TEXT NOT NULL,
    PRIMARY KEY (message, idx)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX recipient_due ON recipient (due);
  `,
  `
  ALTER TABLE message ADD COLUMN extras TEXT;  -- JSON of EnvelopeExtras; NULL for most
  ALTER TABLE recipient ADD COLUMN delay_told INTEGER NOT NULL DEFAULT 0;
  `,
  `
  ALTER TABLE message ADD COLUMN hold_reason TEXT;
  ALTER TABLE message ADD COLUMN hold_until INTEGER; -- NULL: until it is released
  CREATE TABLE suspension (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL,
    until INTEGER,
    made INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE submitted (
    key BLOB NOT NULL PRIMARY KEY,         -- hash of account, Idempotency-Key and recipient
    message TEXT NOT NULL,                 -- under which it was queued
    noted INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX submitted_noted ON submitted (noted);
  `,
  `
  CREATE TABLE suppression (
    account TEXT NOT NULL,
    mailbox TEXT NOT NULL,                 -- mailbox key
    reason TEXT NOT NULL,
    made INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (account, mailbox)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX suppression_until ON suppression (until);
  `,
];

/** The columns of `message` but for `body`. */
export type MessageColumns = SqlValue[];
/** Five values a recipient: local_part, domain, notify, orcpt_type, orcpt_address. */
export type RecipientColumns = SqlValue[];
export type MessageArguments = readonly [message: MessageColumns, recipients: RecipientColumns, due: number, lease: boolean];

/** Message and recipients as flat lists: structured clone takes 0.6 us for them, several times that for objects. */
export function encodeMessage(message: NewMessage, file: string | null, lease: boolean): MessageArguments {
  const { id, envelope, facts, origin, arrived } = message;
  const from = envelope.reversePath;
  const recipients: RecipientColumns = [];
  for (const { mailbox, notify, originalRecipient } of envelope.recipients) {
    recipients.push(
      mailbox.localPart,
      mailbox.domain,
      notify === undefined ? null : notify.join(),
      originalRecipient?.type ?? null,
      originalRecipient?.address ?? null,
    );
  }
  const columns: MessageColumns = [
    id,
    arrived,
    from === null ? null : from.localPart,
    from === null ? null : from.domain,
    envelope.body,
    Number(envelope.smtpUtf8),
    envelope.ret ?? null,
    envelope.envelopeId ?? null,
    facts.size,
    Number(facts.eightBit),
    Number(facts.eightBitHeader),
    Number(facts.binary),
    facts.longestLine,
    JSON.stringify(origin),
    file,
    encodeExtras(envelope),
  ];
  return [columns, recipients, firstDue(message), lease];
}

/** NULL where the message asks for nothing of the kind. */
export function encodeExtras({ priority, deliverBy, holdUntil }: Envelope): string | null {
  if (priority === undefined && deliverBy === undefined && holdUntil === undefined) return null;
  return JSON.stringify({ priority, deliverBy, holdUntil });
}

export type Row = Record<string, SqlValue>;

/** The message of a row of `message` and rows of `recipient`, but for its content. */
function decodeMessage(row: Row, recipients: readonly Row[]): Omit<QueuedMessage, "content"> {
  return {
    id: row.id as string,
    envelope: {
      reversePath: decodeReversePath(row),
      body: row.body_type as BodyType,
      smtpUtf8: row.smtp_utf8 === 1,
      ...(row.ret === null ? {} : { ret: row.ret as "FULL" | "HDRS" }),
      ...(row.envelope_id === null ? {} : { envelopeId: row.envelope_id as string }),
      ...decodeExtras(row),
    },
    recipients: recipients.map(decodeRecipient),
    facts: {
      size: row.size as number,
      eightBit: row.eight_bit === 1,
      eightBitHeader: row.eight_bit_header === 1,
      binary: row.binary_content === 1,
      longestLine: row.longest_line as number,
    },
    origin: decodeOrigin(row),
    arrived: row.arrived as number,
  };
}

function decodeExtras({ extras }: Row): EnvelopeExtras {
  return typeof extras === "string" ? (JSON.parse(extras) as EnvelopeExtras) : {}; // written by encodeExtras
}

/** The same, or what is wrong with the row: what a failing disk or a careless hand left of it must not stop the others. */
export function readMessage(row: Row, recipients: readonly Row[]): Omit<QueuedMessage, "content"> | string {
  try {
    return decodeMessage(row, recipients);
  } catch (thrown) {
    return `row damaged: ${thrown instanceof Error ? thrown.message : thrown}`;
  }
}

/** The message with all that its rows say. */
export function decodeStanding(row: Row, recipients: readonly Row[]): Omit<StandingMessage, "content"> {
  const message = decodeMessage(row, recipients);
  const hold = decodeHold(row.hold_reason, row.hold_until);
  return {
    ...message,
    ...(hold === undefined ? {} : { hold }),
    recipients: message.recipients.map((recipient, i) => {
      const { due, last } = recipients[i] as Row;
      return { ...recipient, due: due as number, last: last as string };
    }),
  };
}

/** For listings; `active` is a column that the thread adds. */
export function decodeSummary(row: Row, recipients: readonly Row[], now: number): QueuedSummary {
  const hold = decodeHold(row.hold_reason, row.hold_until);
  const held = hold !== undefined && (hold.until === undefined || hold.until > now);
  return {
    id: row.id as string,
    arrived: row.arrived as number,
    from: decodeReversePath(row),
    size: row.size as number,
    origin: orElse(() => decodeOrigin(row), { kind: "local" }),
    ...(held ? { hold } : {}),
    ...orElse(() => decodeExtras(row), {}),
    recipients: recipients.map((recipient) => ({
      index: recipient.idx as number,
      mailbox: decodeMailbox(recipient),
      state: recipient.active === 1 ? "active" : held ? "held" : "deferred",
      attempts: recipient.attempts as number,
      due: recipient.due as number,
      last: recipient.last as string,
    })),
  };
}

function decodeHold(reason: Row[string] | undefined, until: Row[string] | undefined): Hold | undefined {
  if (typeof reason !== "string") return undefined;
  return until === null || until === undefined ? { reason } : { reason, until: until as number };
}

function decodeRecipient(row: Row): QueuedRecipient {
  const { notify, orcpt_type: type, orcpt_address: address } = row;
  return {
    index: row.idx as number,
    mailbox: decodeMailbox(row),
    attempts: row.attempts as number,
    delayTold: row.delay_told === 1,
    ...(notify === null ? {} : { notify: notify === "" ? [] : ((notify as string).split(",") as NotifyOn[]) }),
    ...(type === null ? {} : { originalRecipient: { type: type as string, address: address as string } }),
  };
}

function decodeMailbox(row: Row): Mailbox {
  return { localPart: row.local_part as string, domain: row.domain as string };
}

function decodeReversePath(row: Row): ReversePath {
  return row.from_local === null ? null : { localPart: row.from_local as string, domain: row.from_domain as string };
}

/** For listings: a damaged row is to be seen, too. */
function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function decodeOrigin(row: Row): Origin {
  return JSON.parse(row.origin as string) as Origin; // written by encodeMessage
}
