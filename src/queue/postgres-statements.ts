/**
 * The statements of the queue in PostgreSQL.
 *
 * Rules
 * 1. What belongs together is one statement: one round trip, committed as a whole.
 * 2. Rows of several messages are locked in the order of their ids; a lease skips what is locked. What deadlocks nevertheless is rolled back
 *    by the server and sent again.
 * 3. A row that is named is found by its key. Where another index would fit as well it is kept out of the planner's reach (`coalesce`):
 *    statistics from when nothing was leased made it walk through all that is.
 * 4. No statement's cost grows with the length of the queue, but for `stats`.
 */
import { NEVER_DUE } from "./store.ts";

export type Statements = ReturnType<typeof queueStatements>;

/** `p` begins each table's name. */
export function queueStatements(p: string) {
  return {
    ...enqueueAndSettle(p),
    ...leasing(p),
    ...bodies(p),
    ...forOperators(p),
  };
}

/** Message columns in the order of their parameters, $3 to $19. */
const COLUMNS =
  "id, arrived, from_local, from_domain, body_type, smtp_utf8, ret, envelope_id, size, eight_bit, eight_bit_header, binary_content, longest_line, origin, body, pending, extras";
const RECIPIENT_COLUMNS = "message, idx, local_part, domain, notify, orcpt_type, orcpt_address, attempts, due, last, delay_told";

/** Of the message of the recipient `r`; 0 where it is not held. */
function heldUntil(p: string): string {
  return `coalesce((SELECT coalesce(h.hold_until, ${NEVER_DUE}) FROM ${p}message h WHERE h.id = r.message AND h.hold_reason IS NOT NULL), 0)`;
}

/** When the sender of the message of the recipient `r` wants it released (RFC 4865). */
function releaseOf(p: string): string {
  return `coalesce((SELECT ${RELEASE} FROM ${p}message e WHERE e.id = r.message), 0)`;
}

const RELEASE = "(extras::json ->> 'holdUntil')::int8";

function enqueueAndSettle(p: string) {
  return {
    /**
     * $1 session, $2 ticket, then the columns of encodeEntries. A row for each message that was queued; `holder` is the session, unless
     * that is gone. A message whose id is there already is left out.
     */
    enqueue: `
      WITH me AS (SELECT session FROM ${p}node WHERE session = $1::int8 FOR KEY SHARE),
      m AS (
        INSERT INTO ${p}message (${COLUMNS})
        SELECT * FROM unnest($3::text[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::text[], $10::bytea[], $11::int8[],
          $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::text[], $17::text[], $18::int8[], $19::text[])
        ON CONFLICT (id) DO NOTHING RETURNING id, body),
      b AS (
        INSERT INTO ${p}body (id, part, content)
        SELECT n.id, 0, n.content FROM unnest($20::text[], $21::bytea[]) AS n (id, content) JOIN m ON m.body = n.id),
      r AS (
        INSERT INTO ${p}recipient (${RECIPIENT_COLUMNS}, holder, ticket)
        SELECT n.message, n.idx, n.local_part, n.domain, n.notify, n.orcpt_type, n.orcpt_address, n.attempts, n.due, n.last, n.delay_told,
          CASE WHEN n.lease = 1 THEN (SELECT session FROM me) END, CASE WHEN n.lease = 1 THEN $2::int8 END
        FROM unnest($22::text[], $23::int8[], $24::text[], $25::text[], $26::text[], $27::text[], $28::bytea[], $29::int8[], $30::int8[],
          $31::bytea[], $32::int8[], $33::int8[]) AS n (${RECIPIENT_COLUMNS}, lease)
        JOIN m ON m.id = n.message)
      SELECT m.id, (SELECT session FROM me) AS holder FROM m`,

    /**
     * $1 session, then by settlement: $2 message, $3 index, $4 kind (0 finished, 1 deferred, 2 released, 3 deferred and the delay reported), $5 due, $6 attempts, $7 last.
     * Only what the session holds is touched. A row for each message of which something was finished: whether it is gone with that.
     */
    settle: `
      WITH s AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::bytea[]) AS s (message, idx, kind, due, attempts, last)),
      finished AS (
        DELETE FROM ${p}recipient r USING s
        WHERE s.kind = 0 AND r.message = s.message AND r.idx = s.idx AND coalesce(r.holder, 0) = $1::int8 RETURNING r.message),
      others AS (
        UPDATE ${p}recipient r SET due = greatest(s.due, ${heldUntil(p)}), holder = NULL, ticket = NULL,
          attempts = CASE s.kind WHEN 2 THEN r.attempts ELSE s.attempts END, last = CASE s.kind WHEN 2 THEN r.last ELSE s.last END,
          delay_told = CASE s.kind WHEN 3 THEN 1 ELSE r.delay_told END
        FROM s WHERE s.kind <> 0 AND r.message = s.message AND r.idx = s.idx AND coalesce(r.holder, 0) = $1::int8),
      counted AS (SELECT message, count(*) AS n FROM finished GROUP BY message),
      locked AS MATERIALIZED (
        SELECT m.id, m.body, m.pending, c.n FROM ${p}message m JOIN counted c ON c.message = m.id ORDER BY m.id FOR UPDATE OF m),
      gone AS (DELETE FROM ${p}message m USING locked l WHERE m.id = l.id AND l.pending <= l.n RETURNING m.id, m.body),
      less AS (UPDATE ${p}message m SET pending = l.pending - l.n FROM locked l WHERE m.id = l.id AND l.pending > l.n),
      b AS (DELETE FROM ${p}body b USING gone g WHERE b.id = g.body)
      SELECT l.id, l.pending <= l.n AS gone FROM locked l`,
  };
}

function leasing(p: string) {
  return {
    /**
     * $1 session, $2 now, $3 limit, $4 ticket. No row where the session is gone, a row of NULLs where nothing is due.
     */
    lease: `
      WITH me AS (SELECT session FROM ${p}node WHERE session = $1::int8 FOR KEY SHARE),
      due AS MATERIALIZED (
        SELECT message, idx FROM ${p}recipient WHERE holder IS NULL AND due <= $2::int8 AND EXISTS (SELECT 1 FROM me)
        ORDER BY due, message, idx LIMIT $3::int8 FOR UPDATE SKIP LOCKED),
      taken AS (
        UPDATE ${p}recipient r SET holder = $1::int8, ticket = $4::int8 FROM due d WHERE r.message = d.message AND r.idx = d.idx
        RETURNING r.${RECIPIENT_COLUMNS.replaceAll(", ", ", r.")})
      SELECT ${`t.${RECIPIENT_COLUMNS.replaceAll(", ", ", t.")}`}, m.${COLUMNS.replaceAll(", ", ", m.")}
      FROM me LEFT JOIN taken t ON true LEFT JOIN ${p}message m ON m.id = t.message
      ORDER BY t.due, t.message, t.idx`,
    nextDue: `SELECT due FROM ${p}recipient WHERE holder IS NULL AND due < ${NEVER_DUE} ORDER BY due, message, idx LIMIT 1`,

    /** $1 name, $2 milliseconds. */
    join: `
      INSERT INTO ${p}node (session, name, until)
      SELECT nextval('${p}session'), $1::text, clock_timestamp() + $2::int8 * interval '1 millisecond' RETURNING session`,
    /** $1 session, $2 milliseconds. No row where others have taken over. */
    renew: `UPDATE ${p}node SET until = clock_timestamp() + $2::int8 * interval '1 millisecond' WHERE session = $1::int8 RETURNING session`,
    /** $1 milliseconds of grace, on top of `until`. Frees what the dead have held; says how many recipients that were. */
    takeOver: `
      WITH dead AS (DELETE FROM ${p}node WHERE until + $1::int8 * interval '1 millisecond' < clock_timestamp() RETURNING session),
      freed AS (UPDATE ${p}recipient SET holder = NULL, ticket = NULL WHERE holder IN (SELECT session FROM dead) RETURNING 1)
      SELECT (SELECT count(*) FROM dead) AS nodes, (SELECT count(*) FROM freed) AS recipients`,
    /** $1 session. As `takeOver`, for oneself. */
    leave: `
      WITH left_now AS (DELETE FROM ${p}node WHERE session = $1::int8 RETURNING session)
      UPDATE ${p}recipient SET holder = NULL, ticket = NULL WHERE holder IN (SELECT session FROM left_now)`,
    /** $1 session, $2 tickets: what was taken by statements whose reply was lost. */
    freeTickets: `UPDATE ${p}recipient SET holder = NULL, ticket = NULL WHERE holder = $1::int8 AND ticket = ANY ($2::int8[]) RETURNING 1 AS freed`,
  };
}

function bodies(p: string) {
  return {
    /** $1 key, $2 session, $3 content: the first part. A row unless the session is gone. */
    beginUpload: `
      WITH u AS (
        INSERT INTO ${p}upload (body, session) SELECT $1::text, session FROM ${p}node WHERE session = $2::int8 FOR KEY SHARE RETURNING body)
      INSERT INTO ${p}body (id, part, content) SELECT body, 0, $3::bytea FROM u RETURNING part`,
    /** $1 key, $2 part, $3 content. A row unless the upload was given up, or taken for an orphan. */
    upload: `
      INSERT INTO ${p}body (id, part, content)
      SELECT body, $2::int, $3::bytea FROM ${p}upload WHERE body = $1::text FOR KEY SHARE RETURNING part`,
    /** $1 key. A row where the parts are all still there: they are the message's from now on. */
    claim: `DELETE FROM ${p}upload WHERE body = $1::text RETURNING body`,
    /** $1 key. Removes the parts of what no message has claimed. */
    discard: `WITH u AS (DELETE FROM ${p}upload WHERE body = $1::text RETURNING body) DELETE FROM ${p}body b USING u WHERE b.id = u.body`,
    /** Removes uploads of sessions that are gone. */
    removeOrphans: `
      WITH u AS (DELETE FROM ${p}upload WHERE session NOT IN (SELECT session FROM ${p}node) RETURNING body)
      DELETE FROM ${p}body b USING u WHERE b.id = u.body`,
    /** $1 keys: the first part of each. */
    firstParts: `SELECT id, content FROM ${p}body WHERE id = ANY ($1::text[]) AND part = 0`,
    /** $1 keys: what there is of each. */
    sizes: `SELECT id, sum(octet_length(content)) AS octets, count(*) AS parts FROM ${p}body WHERE id = ANY ($1::text[]) GROUP BY id`,
    /** $1 key, $2 part: that one, or the next there is. */
    part: `SELECT part, content FROM ${p}body WHERE id = $1::text AND part >= $2::int ORDER BY part LIMIT 1`,
  };
}

function forOperators(p: string) {
  return {
    /** $1 after this id, $2 limit. */
    list: `SELECT * FROM ${p}message WHERE id > $1::text ORDER BY id LIMIT $2::int8`,
    message: `SELECT * FROM ${p}message WHERE id = $1::text`,
    /** $1 ids. */
    recipients: `
      SELECT r.*, CASE WHEN holder IS NULL THEN 0 ELSE 1 END AS active FROM ${p}recipient r
      WHERE message = ANY ($1::text[]) ORDER BY message, idx`,
    stats: `
      SELECT (SELECT count(*) FROM ${p}message) AS messages, (SELECT count(*) FROM ${p}recipient) AS recipients,
        (SELECT count(*) FROM ${p}recipient WHERE holder IS NOT NULL) AS active`,
    /** $1 now, $2 ids. */
    retry: `
      WITH few AS (
        SELECT message, idx FROM ${p}recipient r WHERE message = ANY ($2::text[]) AND holder IS NULL AND ${heldUntil(p)} <= $1::int8
        ORDER BY message, idx FOR UPDATE),
      made AS (
        UPDATE ${p}recipient r SET due = $1::int8 FROM few s WHERE r.message = s.message AND r.idx = s.idx AND r.holder IS NULL RETURNING 1)
      SELECT count(*) AS n FROM made`,
    /** $1 now, $2 limit: some of what is not due yet. */
    retrySome: `
      WITH few AS (
        SELECT message, idx FROM ${p}recipient r WHERE holder IS NULL AND due > $1::int8 AND due < ${NEVER_DUE} AND ${heldUntil(p)} <= $1::int8
          AND ${releaseOf(p)} <= $1::int8
        ORDER BY due DESC LIMIT $2::int8 FOR UPDATE SKIP LOCKED),
      made AS (UPDATE ${p}recipient r SET due = $1::int8 FROM few s WHERE r.message = s.message AND r.idx = s.idx RETURNING 1)
      SELECT count(*) AS n FROM made`,
    /** $1 ids, $2 reason, $3 until. */
    hold: `
      WITH h AS (UPDATE ${p}message SET hold_reason = $2::text, hold_until = $3::int8 WHERE id = ANY ($1::text[]) RETURNING id, ${RELEASE} AS release),
      r AS (UPDATE ${p}recipient r SET due = greatest(coalesce($3::int8, ${NEVER_DUE}), release) FROM h WHERE r.message = h.id AND r.holder IS NULL)
      SELECT count(*) AS n FROM h`,
    /** $1 now, $2 ids. */
    unhold: `
      WITH h AS (
        UPDATE ${p}message SET hold_reason = NULL, hold_until = NULL WHERE id = ANY ($2::text[]) AND hold_reason IS NOT NULL
        RETURNING id, ${RELEASE} AS release),
      r AS (UPDATE ${p}recipient r SET due = greatest($1::int8, release) FROM h WHERE r.message = h.id AND r.holder IS NULL)
      SELECT count(*) AS n FROM h`,
    /** $1 now. */
    suspensions: `SELECT * FROM ${p}suspension WHERE until IS NULL OR until > $1::int8 ORDER BY kind, value`,
    /** $1 kind, $2 value, $3 reason, $4 until, $5 made. */
    suspend: `
      INSERT INTO ${p}suspension (kind, value, reason, until, made) VALUES ($1::text, $2::text, $3::text, $4::int8, $5::int8)
      ON CONFLICT (kind, value) DO UPDATE SET reason = excluded.reason, until = excluded.until, made = excluded.made`,
    /** $1 kind, $2 value. */
    resume: `DELETE FROM ${p}suspension WHERE kind = $1::text AND value = $2::text RETURNING 1 AS found`,
    /** $1 ids. A row for each that was there. */
    remove: `
      WITH locked AS MATERIALIZED (SELECT id FROM ${p}message WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE),
      gone AS (DELETE FROM ${p}message m USING locked l WHERE m.id = l.id RETURNING m.id, m.body),
      r AS (DELETE FROM ${p}recipient r USING gone g WHERE r.message = g.id),
      b AS (DELETE FROM ${p}body b USING gone g WHERE b.id = g.body)
      SELECT id FROM gone`,
  };
}
