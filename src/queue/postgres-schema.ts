/**
 * The queue's tables in PostgreSQL, and messages as the columns of a statement for many of them.
 *
 * Rules
 * 1. The same tables as in SQLite (sqlite-schema.ts), with what several nodes need beside: who holds a recipient, who is alive, what is
 *    being uploaded.
 * 2. `holder` is a session in `node`. Whoever writes a holder locks that row (FOR KEY SHARE) and finds it there; taking over deletes the row
 *    and frees the recipients in one statement. So no recipient is ever held by a session that is not in `node`.
 * 3. `pending` counts the rows of `recipient`: a statement sees rows as they were when it began, so it cannot count them itself while others
 *    settle the same message; a counter under a row lock can.
 * 4. What others have written (replies, original recipients, envelope ids) is bytes: no NUL and no broken UTF-8 of theirs can fail a commit.
 * 5. Plain SQL; what only PostgreSQL knows is in `tuning`, which may be refused.
 */
import type { PostgresModule } from "../database/postgres-migrations.ts";
import { byteaArray, int8Array, type Pieces, textArray } from "../database/postgres-values.ts";
import { firstDue, type MessageId, type NewMessage } from "../mail/message.ts";
import { utf8 } from "../util/bytes.ts";
import { encodeExtras, type Row } from "./sqlite-schema.ts";

/** Content is kept in parts of this; what is larger is a `stored` content and is never whole in memory. */
export const PART_OCTETS = 256 * 1024;

export const queueModule: PostgresModule = {
  name: "queue",
  migrations: [
    `
    CREATE SEQUENCE $.session;
    CREATE TABLE $.node (
      session bigint NOT NULL PRIMARY KEY,
      name text NOT NULL,
      until timestamptz NOT NULL             -- the database's clock; past it, others may take over
    );
    CREATE TABLE $.message (
      id text COLLATE "C" NOT NULL PRIMARY KEY, -- sorts by arrival
      arrived bigint NOT NULL,               -- milliseconds since 1970, as all times but node.until
      from_local text,                       -- NULL for <>
      from_domain text,
      body_type text NOT NULL,
      smtp_utf8 int NOT NULL,
      ret text,
      envelope_id bytea,
      size bigint NOT NULL,
      eight_bit int NOT NULL,
      eight_bit_header int NOT NULL,
      binary_content int NOT NULL,
      longest_line bigint NOT NULL,
      origin text NOT NULL,                  -- JSON
      body text COLLATE "C" NOT NULL,        -- key in body
      pending int NOT NULL
    );
    CREATE TABLE $.body (
      id text COLLATE "C" NOT NULL,
      part int NOT NULL,
      content bytea NOT NULL,
      PRIMARY KEY (id, part)
    );
    CREATE TABLE $.recipient (
      message text COLLATE "C" NOT NULL,
      idx int NOT NULL,
      local_part text NOT NULL,
      domain text NOT NULL,
      notify text,                           -- comma separated; '' is NEVER
      orcpt_type text,
      orcpt_address bytea,
      attempts int NOT NULL,
      due bigint NOT NULL,
      last bytea NOT NULL,
      holder bigint,                         -- NULL: free
      ticket bigint,                         -- which statement of the holder took it
      PRIMARY KEY (message, idx)
    );
    CREATE INDEX recipient_due ON $.recipient (due, message, idx) WHERE holder IS NULL;
    CREATE INDEX recipient_holder ON $.recipient (holder) WHERE holder IS NOT NULL;
    CREATE TABLE $.upload (
      body text COLLATE "C" NOT NULL PRIMARY KEY, -- parts are being written, no message names it yet
      session bigint NOT NULL
    );
    CREATE TABLE $.quota (
      key text NOT NULL,
      window_start bigint NOT NULL,
      used bigint NOT NULL,
      PRIMARY KEY (key, window_start)
    );
    `,
    `
    ALTER TABLE $.message ADD COLUMN extras text; -- JSON of EnvelopeExtras; NULL for most
    ALTER TABLE $.recipient ADD COLUMN delay_told int NOT NULL DEFAULT 0;
    `,
    `
    ALTER TABLE $.message ADD COLUMN hold_reason text;
    ALTER TABLE $.message ADD COLUMN hold_until bigint; -- NULL: until it is released
    CREATE TABLE $.suspension (
      kind text NOT NULL,
      value text NOT NULL,
      reason text NOT NULL,
      until bigint,
      made bigint NOT NULL,
      PRIMARY KEY (kind, value)
    );
    `,
    `
    CREATE TABLE $.submitted (
      key bytea NOT NULL PRIMARY KEY,        -- hash of account, Idempotency-Key and recipient
      message text COLLATE "C" NOT NULL,     -- under which it was queued
      noted bigint NOT NULL
    );
    CREATE INDEX submitted_noted ON $.submitted (noted);
    `,
    `
    CREATE TABLE $.suppression (
      account text COLLATE "C" NOT NULL,
      mailbox text COLLATE "C" NOT NULL,     -- mailbox key
      reason bytea NOT NULL,
      made bigint NOT NULL,
      until bigint NOT NULL,
      PRIMARY KEY (account, mailbox)
    );
    CREATE INDEX suppression_until ON $.suppression (until);
    `,
  ],
  tuning: [
    // Content is not compressed: it costs more than it saves at these sizes, and most large mail is base64 of what is compressed already.
    "ALTER TABLE $.body ALTER COLUMN content SET STORAGE EXTERNAL",
    // Small content stays in its row instead of going out of line in pieces of 2 KB.
    "ALTER TABLE $.body SET (toast_tuple_target = 8160)",
    // A queue is rewritten all the time: dead rows at its head are what a lease has to step over.
    "ALTER TABLE $.recipient SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)",
    "ALTER TABLE $.message SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05)",
    "ALTER TABLE $.body SET (autovacuum_vacuum_scale_factor = 0.05)",
    "ALTER TABLE $.node SET (fillfactor = 50)",
  ],
};

/** One message for the statement that queues many. */
export interface Entry {
  readonly message: NewMessage;
  /** Its key in `body`, and the content of part 0; `null` where all parts are there already. */
  readonly body: string;
  readonly content: Pieces | null;
  readonly lease: boolean;
  /** Of its recipients, in order, where it has an idempotency key: those that are queued under it already are left out. */
  readonly keys?: readonly Uint8Array[];
  /** The recipients' places, where they are not all of the message. */
  readonly indexes?: readonly number[];
  /** By index, for a message that comes from another store; all of the envelope's, new and due at once, unless given. */
  readonly standing?: readonly Standing[];
}

/** How a recipient stands: what a restored message brings along. */
export interface Standing {
  readonly index: number;
  readonly attempts: number;
  readonly due: number;
  readonly last: string;
  readonly delayTold: boolean;
}

/** The columns of `entries`, as the parameters of `statements.enqueue` from the third on. */
export function encodeEntries(entries: readonly Entry[]): Buffer[] {
  const messages = entries.map(({ message }) => message);
  const text = (of: (message: NewMessage) => string | null) => textArray(messages.map(of));
  const whole = (of: (message: NewMessage) => number) => int8Array(messages.map(of));
  const withContent = entries.filter(({ content }) => content !== null);
  return [
    text(({ id }) => id),
    whole(({ arrived }) => arrived),
    text(({ envelope }) => envelope.reversePath?.localPart ?? null),
    text(({ envelope }) => envelope.reversePath?.domain ?? null),
    text(({ envelope }) => envelope.body),
    whole(({ envelope }) => Number(envelope.smtpUtf8)),
    text(({ envelope }) => envelope.ret ?? null),
    byteaArray(messages.map(({ envelope }) => bytesOf(envelope.envelopeId))),
    whole(({ facts }) => facts.size),
    whole(({ facts }) => Number(facts.eightBit)),
    whole(({ facts }) => Number(facts.eightBitHeader)),
    whole(({ facts }) => Number(facts.binary)),
    whole(({ facts }) => facts.longestLine),
    text(({ origin }) => JSON.stringify(origin)),
    textArray(entries.map(({ body }) => body)),
    int8Array(entries.map(({ message, standing }) => (standing ?? message.envelope.recipients).length)),
    text(({ envelope }) => encodeExtras(envelope)),
    textArray(withContent.map(({ body }) => body)),
    byteaArray(withContent.map(({ content }) => content)),
    ...encodeRecipients(entries),
  ];
}

function encodeRecipients(entries: readonly Entry[]): Buffer[] {
  const ids: MessageId[] = [];
  const indexes: number[] = [];
  const locals: string[] = [];
  const domains: string[] = [];
  const notifies: (string | null)[] = [];
  const types: (string | null)[] = [];
  const addresses: (Pieces | null)[] = [];
  const attempts: number[] = [];
  const dues: number[] = [];
  const lasts: Pieces[] = [];
  const told: number[] = [];
  const leases: number[] = [];
  for (const { message, lease, standing, indexes: places } of entries) {
    const due = firstDue(message);
    for (const [i, { mailbox, notify, originalRecipient }] of message.envelope.recipients.entries()) {
      const stands = standing?.[i];
      ids.push(message.id);
      indexes.push(stands?.index ?? places?.[i] ?? i);
      locals.push(mailbox.localPart);
      domains.push(mailbox.domain);
      notifies.push(notify === undefined ? null : notify.join());
      types.push(originalRecipient?.type ?? null);
      addresses.push(bytesOf(originalRecipient?.address));
      attempts.push(stands?.attempts ?? 0);
      dues.push(stands?.due ?? due);
      lasts.push([utf8(stands?.last ?? "")]);
      told.push(Number(stands?.delayTold ?? false));
      leases.push(Number(lease));
    }
  }
  return [
    textArray(ids),
    int8Array(indexes),
    textArray(locals),
    textArray(domains),
    textArray(notifies),
    textArray(types),
    byteaArray(addresses),
    int8Array(attempts),
    int8Array(dues),
    byteaArray(lasts),
    int8Array(told),
    int8Array(leases),
  ];
}

function bytesOf(text: string | undefined): Pieces | null {
  return text === undefined ? null : [utf8(text)];
}

/** A row as sqlite-schema.ts decodes it: bytes of text become text. */
export function plainRow(row: Record<string, unknown>): Row {
  const plain: Row = {};
  for (const [name, value] of Object.entries(row)) plain[name] = Buffer.isBuffer(value) ? value.toString() : (value as Row[string]);
  return plain;
}
