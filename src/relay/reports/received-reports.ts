/**
 * Reports of others, read as they pass: DMARC aggregate reports and feedback reports (ARF) that come to addresses set apart for them.
 *
 * Rules
 * 1. Reading them changes nothing about the message: it is delivered like any other, and whatever a report holds, it is taken.
 * 2. What was read is a line in a file that an operator's command shows; the file has a limit, and the one before it is kept.
 */
import { appendFile, mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { type AggregateReport, parseAggregateReport, parseFeedback } from "../../authentication/index.ts";
import { readContent } from "../../mail/content.ts";
import { formatReversePath } from "../../mail/envelope.ts";
import { mailboxKey } from "../../mail/mailbox.ts";
import type { NewMessage } from "../../mail/message.ts";
import { mimeParts } from "../../message/mime-parts.ts";
import { concat, fromLatin1, fromUtf8 } from "../../util/bytes.ts";
import { unpacked } from "./archive.ts";

/** One report that was read. */
export type ReceivedReport =
  | { readonly kind: "aggregate"; readonly report: AggregateReport }
  | { readonly kind: "feedback"; readonly type: string; readonly fields: Readonly<Record<string, readonly string[]>> }
  /** It came to the address, and holds no report that could be read. */
  | { readonly kind: "unreadable"; readonly why: string };

export type StoredReport = ReceivedReport & { readonly at: number; readonly from: string; readonly id: string };

/** Messages beyond this are not looked into. */
export const REPORT_MESSAGE_LIMIT = 32 * 1024 * 1024;
/** Octets of the file; then it is put aside, and takes the place of the one that was put aside before. */
export const RECEIVED_LIMIT = 64 * 1024 * 1024;
export const RECEIVED_FILE = "received.jsonl";
export const RECEIVED_BEFORE = "received.1.jsonl";

/** The reports in a message. */
export function reportsIn(content: Uint8Array): ReceivedReport[] {
  const found: ReceivedReport[] = [];
  const problems: string[] = [];
  for (const part of mimeParts(content)) {
    if (part.type === "message/feedback-report") {
      const parsed = parseFeedback(part.content);
      if (!parsed.ok) problems.push(parsed.error);
      else found.push({ kind: "feedback", type: parsed.feedback.type, fields: Object.fromEntries(parsed.feedback.fields) });
    } else if (isDocument(part.type, part.fileName)) {
      const read = readDocument(part.content);
      if (typeof read === "string") problems.push(read);
      else found.push(read);
    }
  }
  if (found.length > 0) return found;
  return [{ kind: "unreadable", why: problems[0] ?? "there is no report in it" }];
}

/** A document by itself, packed or not; or what is wrong with it. */
export function readDocument(content: Uint8Array): ReceivedReport | string {
  try {
    const bytes = unpacked(content);
    const parsed = parseAggregateReport(fromUtf8(bytes) ?? fromLatin1(bytes));
    return parsed.ok ? { kind: "aggregate", report: parsed.report } : parsed.error;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isDocument(type: string, fileName = ""): boolean {
  return /^(application\/(gzip|x-gzip|zip|x-zip-compressed|xml)|text\/xml)$/.test(type) || /\.(xml|gz|zip)$/i.test(fileName);
}

export interface ReceivedReportsOptions {
  readonly folder: string;
  /** Mailbox keys. */
  readonly mailboxes: ReadonlySet<string>;
  readonly onTrouble: (why: string) => void;
}

export class ReceivedReports {
  readonly #options: ReceivedReportsOptions;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ReceivedReportsOptions) {
    this.#options = options;
  }

  concerns({ envelope, content }: NewMessage): boolean {
    if (content.size > REPORT_MESSAGE_LIMIT) return false;
    return envelope.recipients.some(({ mailbox }) => this.#options.mailboxes.has(mailboxKey(mailbox)));
  }

  /** Reads a message whose content is still there; resolves when its reports are written down. Never rejects. */
  async read({ id, envelope, content, arrived }: NewMessage): Promise<void> {
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of readContent(content)) chunks.push(chunk);
      const from = formatReversePath(envelope.reversePath);
      const lines = reportsIn(concat(chunks, content.size)).map((report) => `${JSON.stringify({ at: arrived, id, from, ...report })}\n`);
      this.#writing = this.#writing.then(() => this.#write(lines.join("")));
      await this.#writing;
    } catch (error) {
      this.#options.onTrouble(`a report in message ${id}: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #write(text: string): Promise<void> {
    const { folder, onTrouble } = this.#options;
    const path = join(folder, RECEIVED_FILE);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const size = (await stat(path).catch(() => undefined))?.size ?? 0;
      if (size + text.length > RECEIVED_LIMIT) await rename(path, join(folder, RECEIVED_BEFORE));
      await appendFile(path, text, { mode: 0o600 });
    } catch (error) {
      onTrouble(`cannot write ${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
}
