/**
 * Failure reports about single messages: ARF (RFC 5965), authentication failures (RFC 6591), DMARC's (RFC 9991).
 *
 * Rules
 * 1. Of the message only its header section is returned: a body is nobody's business but the recipient's.
 * 2. Public suffixes (`psd=y`) get none (RFC 9990, privacy; RFC 9991).
 * 3. Everything that came from outside is one folded ASCII line in the machine's part.
 */
import { formatReversePath, type ReversePath } from "../../mail/envelope.ts";
import { formatMailbox, type Mailbox } from "../../mail/mailbox.ts";
import { foldText, safeText } from "../../message/delivery-status.ts";
import { fieldText, type HeaderSection, readHeaderSection } from "../../message/header-section.ts";
import { encodeQuotedPrintable, endWithLine } from "../../message/quoted-printable.ts";
import { FOLD_AT, formatDate } from "../../message/trace.ts";
import { utf8 } from "../../util/bytes.ts";
import type { DmarcResult } from "../dmarc/index.ts";
import type { AuthenticationResults } from "../results/results.ts";
import { authenticationResultsText } from "../results/write.ts";
import type { SpfResult } from "../spf/check.ts";

export type AuthFailure = "dmarc" | "dkim" | "spf";

/** What the `fo` tag of a record asks to be reported of this message (RFC 9989 4.7); nothing where there is no `ruf`. */
export function failureReportsAsked(
  dmarc: DmarcResult,
  spf: Pick<SpfResult, "result">,
  dkim: readonly { readonly result: string }[],
): AuthFailure[] {
  const { record } = dmarc;
  if (record === undefined || record.ruf.length === 0 || record.psd === "y") return [];
  if (dmarc.result !== "pass" && dmarc.result !== "fail") return [];
  const asked: AuthFailure[] = [];
  const failed = failedAlignments(dmarc);
  if ((record.fo.includes("0") && failed.length === 2) || (record.fo.includes("1") && failed.length > 0)) asked.push("dmarc");
  if (record.fo.includes("d") && dkim.some(({ result }) => result === "fail" || result === "permerror")) asked.push("dkim");
  if (record.fo.includes("s") && ["fail", "softfail", "permerror"].includes(spf.result)) asked.push("spf");
  return asked;
}

/** The methods that proved nothing in alignment. */
export function failedAlignments(dmarc: DmarcResult): ("dkim" | "spf")[] {
  const proved = (method: string): boolean =>
    dmarc.alignments.some((a) => a.method === method && a.result === "pass" && (a.aligned === "strict" || a.aligned === "relaxed"));
  return (["dkim", "spf"] as const).filter((method) => !proved(method));
}

export interface FailureReport {
  readonly failure: AuthFailure;
  readonly from: Mailbox;
  readonly to: Mailbox;
  /** Our name, in A-labels. */
  readonly reportingMta: string;
  /** `id@host`, without angle brackets. */
  readonly messageId: string;
  /** The author domain. */
  readonly domain: string;
  readonly results: AuthenticationResults;
  readonly failed: readonly ("dkim" | "spf")[];
  /** The signature in question, where it is DKIM's failure. */
  readonly dkim?: { readonly domain: string; readonly selector: string; readonly identity?: string };
  /** The SPF record's domain and text, where it is SPF's failure. */
  readonly spf?: { readonly domain: string; readonly record: string };
  /** What was done with the message. */
  readonly delivery: "delivered" | "spam" | "policy" | "reject" | "other";
  readonly ip: string;
  readonly reversePath: ReversePath;
  readonly arrived: number;
  readonly header: HeaderSection;
  readonly now: number;
  /** Parts the MIME parts: up to 60 letters and digits that no sender can foretell. */
  readonly boundary: string;
}

const USER_AGENT = "Postrider/1";
/** Octets of the original's header that come back, cut after a field. */
export const RETURNED_HEADER_LIMIT = 64 * 1024;

/** The report as a content: ASCII throughout. */
export function failureReport(report: FailureReport): readonly Uint8Array[] {
  const { boundary } = report;
  const words =
    `This is an authentication failure report (${report.failure}) about a message that showed\r\n` +
    `${safeText(report.domain, false)} as its author, received from ${safeText(report.ip, false)}\r\n` +
    `on ${formatDate(report.arrived)}. It was sent because that domain asks for such reports.\r\n`;
  return [
    utf8(reportHeader(report)),
    utf8(`--${boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n${words}\r\n`),
    utf8(`--${boundary}\r\nContent-Type: message/feedback-report\r\n\r\n${feedback(report)}\r\n`),
    utf8(`--${boundary}\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n`),
    encodeQuotedPrintable(endWithLine(leadingFields(report.header))),
    utf8(`\r\n--${boundary}--\r\n`),
  ];
}

function reportHeader(report: FailureReport): string {
  const lines = [
    `From: <${safeText(formatMailbox(report.from), false)}>`,
    `To: <${safeText(formatMailbox(report.to), false)}>`,
    foldText(`Subject: Authentication failure report for ${safeText(report.domain, false)}`, FOLD_AT, " ").trimEnd(),
    `Date: ${formatDate(report.now)}`,
    `Message-ID: <${report.messageId}>`,
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type=feedback-report;\r\n boundary="${report.boundary}"`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** RFC 5965 3, RFC 6591 3, RFC 9991 4. */
function feedback(report: FailureReport): string {
  let text = "";
  const add = (name: string, value: string): void => {
    text += foldText(`${name}: ${safeText(value, false)}`, FOLD_AT, " ");
  };
  add("Feedback-Type", "auth-failure");
  add("Version", "1");
  add("User-Agent", USER_AGENT);
  add("Auth-Failure", report.failure === "dkim" ? "signature" : report.failure);
  text += `Authentication-Results:${authenticationResultsText(report.results, "Authentication-Results:".length)}\r\n`;
  if (report.failure === "dmarc") add("Identity-Alignment", report.failed.length === 0 ? "none" : report.failed.join(", "));
  add("Delivery-Result", report.delivery);
  if (report.dkim !== undefined) {
    add("DKIM-Domain", report.dkim.domain);
    add("DKIM-Identity", report.dkim.identity ?? `@${report.dkim.domain}`);
    add("DKIM-Selector", report.dkim.selector);
  }
  if (report.spf !== undefined) add("SPF-DNS", `txt : ${report.spf.domain} : "${report.spf.record.replace(/["\\]/g, "\\$&")}"`);
  add("Original-Mail-From", formatReversePath(report.reversePath));
  add("Arrival-Date", formatDate(report.arrived));
  add("Reporting-MTA", `dns; ${report.reportingMta}`);
  add("Source-IP", report.ip);
  add("Reported-Domain", report.domain);
  return text;
}

function leadingFields(header: HeaderSection): Uint8Array {
  let size = 0;
  for (const { raw } of header.fields) {
    if (size + raw.length > RETURNED_HEADER_LIMIT) break;
    size += raw.length;
  }
  return header.bytes.subarray(0, size);
}

/** A message/feedback-report part of anyone's, abuse and others included. */
export interface Feedback {
  /** `abuse`, `fraud`, `virus`, `auth-failure`, `not-spam`, `other`, ...: lower case. */
  readonly type: string;
  readonly userAgent: string | undefined;
  readonly version: string;
  /** All fields by their names in lower case. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

/** Fields kept of a feedback report. */
export const FEEDBACK_FIELD_LIMIT = 200;

export type ParsedFeedback = { readonly ok: true; readonly feedback: Feedback } | { readonly ok: false; readonly error: string };

/** Reads the body of a message/feedback-report part (RFC 5965 3). */
export function parseFeedback(body: Uint8Array): ParsedFeedback {
  const { section } = readHeaderSection(body);
  if (section.fieldCount > FEEDBACK_FIELD_LIMIT) return { ok: false, error: `it has more than ${FEEDBACK_FIELD_LIMIT} fields` };
  const fields = new Map<string, string[]>();
  for (const field of section.fields) {
    const name = field.name.toLowerCase();
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [fieldText(field)]);
    else values.push(fieldText(field));
  }
  const one = (name: string): string | undefined => (fields.get(name)?.length === 1 ? fields.get(name)?.[0] : undefined);
  const type = one("feedback-type");
  if (type === undefined || type === "") return { ok: false, error: "it has not exactly one Feedback-Type" };
  return {
    ok: true,
    feedback: { type: type.toLowerCase(), userAgent: one("user-agent"), version: one("version") ?? "1", fields },
  };
}
