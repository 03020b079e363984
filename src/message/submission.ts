/**
 * What a submission server mends in a header section (RFC 6409 8): Date and Message-ID are added where they are missing,
 * Bcc and Idempotency-Key leave.
 *
 * Rules
 * 1. Every other octet stays as it is and where it is. Nothing is invented that says who wrote: no From, no Sender.
 * 2. Added fields come last, so that trace fields stay first (RFC 5322 3.6).
 */
import { domainKey } from "../mail/domain.ts";
import type { MessageId } from "../mail/message.ts";
import { CR, CRLF, LF, utf8 } from "../util/bytes.ts";
import type { HeaderSection } from "./header-section.ts";
import { IDEMPOTENCY_KEY } from "./idempotency-key.ts";
import { formatDate } from "./trace.ts";

export interface SubmissionOptions {
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Minutes east of UTC that an added Date is written in; 0 by default. */
  readonly offset?: number;
  /** For an added Message-ID: `id@hostname`, without angle brackets. */
  readonly messageId: string;
}

/** RFC 5322 3.6.3, 3.6.6: Bcc would tell one recipient of another. A key is between client and server. */
const hidden = ["bcc", "resent-bcc", IDEMPOTENCY_KEY.toLowerCase()];

/** `id@hostname` for Message-ID; the hostname in its A-label form, so that the header stays ASCII. */
export function messageIdText(id: MessageId, hostname: string): string {
  return `${id}@${domainKey(hostname)}`;
}

/**
 * The chunks to send in place of `section.whole`; the body follows as it is. Throws a RangeError for a section that passed the limit: a Bcc
 * might stand in what was not read, so such a message must be refused before.
 */
export function fixSubmission(section: HeaderSection, options: SubmissionOptions): Uint8Array[] {
  if (section.ending === "limit") throw new RangeError("the header section is too long to be mended");
  let added = "";
  if (!section.has("date")) added += `Date: ${formatDate(options.now, options.offset)}\r\n`;
  if (!section.has("message-id")) added += `Message-ID: <${options.messageId}>\r\n`;
  const hides = hidden.some((name) => section.has(name));
  if (added === "" && !hides && section.ending !== "body-line") return section.whole.length === 0 ? [] : [section.whole];

  const chunks = hides ? section.without(hidden) : section.bytes.length === 0 ? [] : [section.bytes];
  if (added !== "") {
    const last = chunks.at(-1);
    if (last !== undefined && !(last.at(-1) === LF && last.at(-2) === CR)) chunks.push(CRLF);
    chunks.push(utf8(added));
  }
  // Where the empty line was forgotten, the body would become part of what is added.
  if (section.ending !== "content-end") chunks.push(CRLF);
  return chunks;
}
