/**
 * Makes a message of its fields, texts and attachments.
 *
 * Rules
 * 1. Everything is checked before anything is made: a CR, LF or other control in what goes into a header throws a `ComposeError`.
 * 2. Bcc is in the envelope and never in the content.
 * 3. Nothing is read here, no clock, no chance: time, Message-ID and boundary are given. Streams are opened when the content is read.
 * 4. The header is ASCII unless an address in it has a local part that is not: then it is UTF-8 (RFC 6532), and the message needs SMTPUTF8.
 */
import type { ReversePath } from "../mail/envelope.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { isAscii, utf8 } from "../util/bytes.ts";
import type { NamedMailbox } from "./address.ts";
import { withAsciiDomain } from "./address-text.ts";
import { type BodyOptions, bodyPart } from "./body.ts";
import { ComposeError, checkedString, checkedText, shown } from "./compose-error.ts";
import type { Accepted, Draft, EnvelopeInput, RawDraft } from "./draft.ts";
import { contentOf, type DraftContent } from "./draft-content.ts";
import { type HeaderStyle, unstructuredField } from "./encoded-word.ts";
import { distinct, recipientsFromHeaders, senderFromHeaders } from "./envelope.ts";
import {
  addressField,
  checkedHeader,
  messageIdField,
  needsUtf8,
  otherFields,
  readAddresses,
  readMessageId,
  readMessageIds,
  readOneAddress,
} from "./fields.ts";
import { HEADER_SECTION_LIMIT, type HeaderSection } from "./header-section.ts";
import { IDEMPOTENCY_KEY, idempotencyKeyProblem } from "./idempotency-key.ts";
import { listFields } from "./list-fields.ts";
import { rawContent, rawStream } from "./raw-message.ts";
import { readSource } from "./source.ts";
import { formatDate } from "./trace.ts";

export interface ComposeOptions {
  /** For Date, where the draft has none; milliseconds since 1970 UTC. */
  readonly now: number;
  /** Minutes east of UTC that Date is written in; 0 by default. */
  readonly offset?: number;
  /** `left@right`, without angle brackets; for a draft without its own. */
  readonly messageId: string;
  /** Up to 40 letters and digits, random: parts the MIME parts. */
  readonly boundary: string;
  /** What the server takes; 7bit alone where absent. */
  readonly accept?: Accepted;
  /** Capitalises the names in `headers`: `x-order` becomes `X-Order`. Off by default. */
  readonly normalizeHeaderNames?: boolean;
}

/** What the content asks of a server; `undefined` is not known before a raw stream is read. */
export interface DraftFacts {
  /** 8BITMIME. */
  readonly eightBit: boolean | undefined;
  /** BINARYMIME, and BDAT with it. */
  readonly binary: boolean | undefined;
  /** SMTPUTF8: by a header, or by an address of the envelope. */
  readonly smtpUtf8: boolean;
  /** Octets, as SIZE counts them; `undefined` where a stream does not say its own. */
  readonly size: number | undefined;
}

export interface Composed {
  /** Where bounces go; `null` only where the draft's envelope says so. Domains are in A-labels wherever that spares SMTPUTF8. */
  readonly from: ReversePath;
  /** To, Cc and Bcc, each once; or what the draft's envelope says. */
  readonly to: readonly Mailbox[];
  /** Without angle brackets; `undefined` for a raw message that has none, or is a stream. */
  readonly messageId: string | undefined;
  readonly content: DraftContent;
  readonly facts: DraftFacts;
  /** The content can be opened again: after a failed attempt it can be sent once more. */
  readonly replayable: boolean;
}

/** Throws a `ComposeError` for a draft that cannot be made into a message. */
export function compose(draft: Draft | RawDraft, options: ComposeOptions): Composed {
  return "raw" in draft ? composeRaw(draft) : composeDraft(draft, options);
}

/** The addresses of a draft, parsed. */
interface Addresses {
  readonly from: readonly NamedMailbox[];
  readonly sender: NamedMailbox | undefined;
  readonly to: readonly NamedMailbox[];
  readonly cc: readonly NamedMailbox[];
  readonly bcc: readonly NamedMailbox[];
  readonly replyTo: readonly NamedMailbox[];
  readonly notify: readonly NamedMailbox[];
}

function composeDraft(draft: Draft, options: ComposeOptions): Composed {
  const addresses = addressesOf(draft);
  const author = addresses.sender ?? addresses.from[0];
  if (author === undefined || addresses.from.length === 0) throw new ComposeError("From", "an address is needed");
  // RFC 5322 3.6.2
  if (addresses.from.length > 1 && addresses.sender === undefined) {
    throw new ComposeError("Sender", "one address is needed where From has several");
  }
  const { from, to } = envelopeOf(draft.envelope, author.mailbox, addresses);
  const messageId = readMessageId("Message-ID", draft.messageId ?? options.messageId);
  const references = {
    inReplyTo: readMessageIds("In-Reply-To", draft.inReplyTo),
    references: readMessageIds("References", draft.references),
  };
  const inHeader = [...addresses.from, ...addresses.to, ...addresses.cc, ...addresses.replyTo, ...addresses.notify];
  if (addresses.sender !== undefined) inHeader.push(addresses.sender);
  const ids = [messageId, ...references.inReplyTo, ...references.references];
  const style: HeaderStyle = inHeader.some(({ mailbox }) => needsUtf8(mailbox)) || !ids.every(isAscii) ? "utf8" : "ascii";

  let header = addressFields(addresses, style);
  if (draft.subject !== undefined)
    header += unstructuredField("Subject", checkedText("Subject", checkedString("Subject", draft.subject)), style);
  header += `Date: ${formatDate(dateOf(draft, options), options.offset)}\r\n`;
  header += messageIdField("Message-ID", [messageId]);
  header += messageIdField("In-Reply-To", references.inReplyTo) + messageIdField("References", references.references);
  header += otherHeader(draft, addresses, style, options) + "MIME-Version: 1.0\r\n";
  const body = bodyPart(draft, bodyOptions(options, messageId));
  if (header.length > HEADER_SECTION_LIMIT) throw new ComposeError("headers", `they are longer than ${HEADER_SECTION_LIMIT} octets`);
  const { content, replayable } = contentOf([`${checkedHeader(header + body.header)}\r\n`, ...body.body]);
  const facts: DraftFacts = {
    eightBit: style === "utf8" || body.domain !== "7bit",
    binary: body.domain === "binary",
    smtpUtf8: style === "utf8" || envelopeNeedsUtf8(from, to),
    size: content.size,
  };
  return { from, to, messageId, content, facts, replayable };
}

function bodyOptions({ boundary, accept, normalizeHeaderNames }: ComposeOptions, messageId: string): BodyOptions {
  const domain = messageId.slice(messageId.lastIndexOf("@") + 1);
  const safe = isAscii(domain) && /^[\w.-]{1,255}$/.test(domain) ? domain : "localhost";
  return { boundary, domain: safe, accept: accept ?? {}, normalize: normalizeHeaderNames === true };
}

function addressesOf(draft: Draft): Addresses {
  return {
    from: readAddresses("From", draft.from),
    sender: draft.sender === undefined ? undefined : readOneAddress("Sender", draft.sender),
    to: readAddresses("To", draft.to),
    cc: readAddresses("Cc", draft.cc),
    bcc: readAddresses("Bcc", draft.bcc),
    replyTo: readAddresses("Reply-To", draft.replyTo),
    notify: readAddresses("Disposition-Notification-To", draft.dispositionNotificationTo),
  };
}

function addressFields(addresses: Addresses, style: HeaderStyle): string {
  const { from, sender, to, cc, replyTo } = addresses;
  const header = addressField("From", from, style) + (sender === undefined ? "" : addressField("Sender", [sender], style));
  return header + addressField("To", to, style) + addressField("Cc", cc, style) + addressField("Reply-To", replyTo, style);
}

function envelopeOf(given: EnvelopeInput | undefined, author: Mailbox, { to, cc, bcc }: Pick<Addresses, "to" | "cc" | "bcc">) {
  const from = given?.from === undefined ? author : given.from === null ? null : readOneAddress("envelope.from", given.from).mailbox;
  const named = given?.to === undefined ? [...to, ...cc, ...bcc] : readAddresses("envelope.to", given.to);
  if (named.length === 0)
    throw new ComposeError(given?.to === undefined ? "To" : "envelope.to", "at least one recipient is needed in To, Cc or Bcc");
  return { from: from && withAsciiDomain(from), to: distinct(named.map(({ mailbox }) => withAsciiDomain(mailbox))) };
}

const envelopeNeedsUtf8 = (from: ReversePath, to: readonly Mailbox[]): boolean => (from !== null && needsUtf8(from)) || to.some(needsUtf8);

/** Milliseconds of the years that RFC 5322 3.3 can write: 1900 to 9999. */
const EARLIEST = Date.UTC(1900, 0, 2);
const LATEST = Date.UTC(9999, 11, 30);

function dateOf(draft: Draft, options: ComposeOptions): number {
  const ms = draft.date === undefined ? options.now : Number(draft.date);
  if (!(ms >= EARLIEST && ms <= LATEST)) throw new ComposeError("Date", "is not a time between the years 1900 and 9999");
  const offset = options.offset ?? 0;
  if (!(Number.isInteger(offset) && Math.abs(offset) < 24 * 60)) throw new ComposeError("Date", "its offset is not in minutes of a day");
  return ms;
}

/** Fields that the draft has a place for, or that describe what is made here. */
const own: ReadonlySet<string> = new Set([
  ...["from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "in-reply-to", "references", "resent-bcc"],
  ...["mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"],
]);

function otherHeader(draft: Draft, { notify }: Addresses, style: HeaderStyle, options: ComposeOptions): string {
  let made = priorityFields(draft.priority) + idempotencyField(draft.idempotencyKey);
  if (draft.list !== undefined) made += listFields(draft.list, style);
  if (draft.autoSubmitted !== undefined) made += autoSubmittedField(draft.autoSubmitted);
  made += addressField("Disposition-Notification-To", notify, style);
  const lower = made.toLowerCase();
  const isMade = (name: string) => lower.startsWith(`${name}:`) || lower.includes(`\r\n${name}:`);
  const taken = (name: string) => own.has(name) || isMade(name);
  return made + otherFields(draft.headers, { property: "headers", taken, style, normalize: options.normalizeHeaderNames === true });
}

/** "" where there is none. */
function idempotencyField(key: string | undefined): string {
  if (key === undefined) return "";
  const text = checkedText("idempotencyKey", checkedString("idempotencyKey", key)).trim();
  const problem = idempotencyKeyProblem(text);
  if (problem !== undefined) throw new ComposeError("idempotencyKey", problem);
  return `${IDEMPOTENCY_KEY}: ${text}\r\n`;
}

function priorityFields(priority: Draft["priority"]): string {
  switch (priority) {
    case undefined:
    case "normal":
      return "";
    case "high":
      return "X-Priority: 1 (Highest)\r\nX-MSMail-Priority: High\r\nImportance: High\r\n";
    case "low":
      return "X-Priority: 5 (Lowest)\r\nX-MSMail-Priority: Low\r\nImportance: Low\r\n";
    default:
      throw new ComposeError("priority", `${shown(String(priority))} is not high, normal or low`);
  }
}

function autoSubmittedField(kind: string): string {
  if (!/^auto-(?:generated|replied|notified)$/.test(kind)) throw new ComposeError("Auto-Submitted", `${shown(kind)} is not of RFC 3834`);
  return `Auto-Submitted: ${kind}\r\n`;
}

function composeRaw({ raw, envelope, lineEnds = "crlf", idempotencyKey }: RawDraft): Composed {
  if (lineEnds !== "crlf" && lineEnds !== "keep") throw new ComposeError("lineEnds", `${shown(String(lineEnds))} is neither crlf nor keep`);
  const source = readSource("raw", raw);
  const field = idempotencyKey === undefined ? [] : [utf8(idempotencyField(idempotencyKey))];
  if (source.kind === "stream") {
    const { from, to } = rawEnvelope(envelope, undefined);
    const { content, replayable } = contentOf([...field, rawStream(source, lineEnds)]);
    const facts: DraftFacts = { eightBit: undefined, binary: undefined, smtpUtf8: envelopeNeedsUtf8(from, to), size: undefined };
    return { from, to, messageId: undefined, content, facts, replayable };
  }
  const { pieces, facts, section } = rawContent(source.bytes, lineEnds);
  if (field.length > 0 && section.has(IDEMPOTENCY_KEY)) throw new ComposeError("idempotencyKey", "the raw message has one already");
  const { from, to } = rawEnvelope(envelope, section);
  const messageId = section.value("message-id")?.replace(/^<(.*)>$/, "$1");
  const { content, replayable } = contentOf([...field, ...pieces]);
  const { eightBit, binary, eightBitHeader } = facts;
  return {
    from,
    to,
    messageId,
    content,
    facts: { eightBit, binary, smtpUtf8: eightBitHeader || envelopeNeedsUtf8(from, to), size: content.size },
    replayable,
  };
}

/** What is given, and by the header what is not. */
function rawEnvelope(given: EnvelopeInput | undefined, section: HeaderSection | undefined): Pick<Composed, "from" | "to"> {
  const found = <T>(read: (section: HeaderSection) => T | string): T => {
    if (section === undefined) throw new ComposeError("envelope", "from and to are needed where raw is a stream");
    const value = read(section);
    if (typeof value === "string") throw new ComposeError("raw", value);
    return value;
  };
  const from =
    given?.from === undefined ? found(senderFromHeaders) : given.from === null ? null : readOneAddress("envelope.from", given.from).mailbox;
  const to = given?.to === undefined ? found(recipientsFromHeaders) : readAddresses("envelope.to", given.to).map(({ mailbox }) => mailbox);
  if (to.length === 0) throw new ComposeError("envelope.to", "at least one recipient is needed");
  return { from: from && withAsciiDomain(from), to: distinct(to.map(withAsciiDomain)) };
}
