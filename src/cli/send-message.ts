/**
 * The message that `postrider send` sends: composed of its options, or one that is there already.
 *
 * Rules
 * 1. A raw message goes as it is, but for Bcc, and for line ends, which become CRLF.
 * 2. Everything is read and checked before a connection is opened.
 */
import { readFileSync, statSync } from "node:fs";
import { basename, extname } from "node:path";
import { type ContentFacts, memoryContent } from "../mail/content.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { newMessageId } from "../mail/message.ts";
import { parseAddressList } from "../message/address.ts";
import { type Attachment, type Composed, compose } from "../message/compose.ts";
import { distinct, envelopeFromHeaders } from "../message/envelope.ts";
import { contentFacts } from "../message/facts.ts";
import { readHeaderSection } from "../message/header-section.ts";
import { isAscii } from "../util/bytes.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { readAll } from "./prompt.ts";

export interface MessageOptions {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly cc?: readonly string[];
  readonly bcc?: readonly string[];
  readonly subject?: string;
  readonly body?: string;
  readonly html?: string;
  readonly attach?: readonly string[];
  readonly header?: readonly string[];
  readonly raw?: string;
  readonly passwordStdin?: boolean;
}

export interface Outgoing {
  readonly from: Mailbox;
  readonly to: readonly Mailbox[];
  readonly content: ReturnType<typeof memoryContent>;
  readonly facts: ContentFacts;
  readonly smtpUtf8: boolean;
}

/** Octets of a file or of standard input. */
const INPUT_LIMIT = 512 * 1024 * 1024;

/** `sender`: the account's address, for where no From is given. Throws a CliError or a ComposeError. */
export async function messageOf(options: MessageOptions, sender: string | undefined): Promise<Outgoing> {
  if (options.raw !== undefined) return rawMessage(options, options.raw);
  const from = options.from ?? sender;
  if (from === undefined) throw new CliError(exitCodes.usage, "from whom?", "Name the sender with --from.");
  const text = await bodyText(options);
  const now = Date.now();
  const composed = compose(
    {
      from,
      to: options.to ?? [],
      cc: options.cc ?? [],
      bcc: options.bcc ?? [],
      ...(options.subject === undefined ? {} : { subject: options.subject }),
      ...(text === undefined ? {} : { text }),
      ...(options.html === undefined ? {} : { html: options.html }),
      headers: (options.header ?? []).map(headerOf),
      attachments: (options.attach ?? []).map(attachment),
    },
    { now, offset: -new Date(now).getTimezoneOffset(), messageId: `${newMessageId(now)}@${domainOf(from)}`, boundary: newMessageId(now) },
  );
  return outgoing(composed);
}

function outgoing({ from, to, content, smtpUtf8 }: Pick<Composed, "from" | "to" | "content" | "smtpUtf8">): Outgoing {
  const facts = contentFacts(content);
  const utf8 = smtpUtf8 || facts.eightBitHeader || [from, ...to].some(({ localPart }) => !isAscii(localPart));
  return { from, to, content: memoryContent(content), facts, smtpUtf8: utf8 };
}

function domainOf(from: string): string {
  const list = parseAddressList(from);
  const domain = list.ok ? list.addresses[0]?.mailbox.domain : undefined;
  return domain !== undefined && isAscii(domain) && !domain.startsWith("[") ? domain.toLowerCase() : "localhost";
}

async function bodyText({ body, html, attach, passwordStdin }: MessageOptions): Promise<string | undefined> {
  if (body !== undefined && body !== "-") return body.endsWith("\n") ? body : `${body}\n`;
  if (body === undefined && (html !== undefined || attach !== undefined)) return undefined;
  if (passwordStdin === true) {
    throw new CliError(
      exitCodes.usage,
      "standard input cannot be the password and the text.",
      "Give the text with --body, or the password in POSTRIDER_PASSWORD.",
    );
  }
  if (process.stdin.isTTY) console.error("Type the message; a line with Ctrl-D alone ends it.");
  return new TextDecoder().decode(await readAll(INPUT_LIMIT, "a message"));
}

function headerOf(field: string): { name: string; value: string } {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(field) ?? [];
  if (name !== undefined && value !== undefined) return { name, value };
  throw new CliError(exitCodes.usage, `${JSON.stringify(field)} is not a header field.`, 'Such as --header "X-Tag: a".');
}

const types: Readonly<Record<string, string>> = {
  ".txt": "text/plain",
  ".html": "text/html",
  ".csv": "text/csv",
  ".pdf": "application/pdf",
  ".json": "application/json",
  ".zip": "application/zip",
  ".gz": "application/gzip",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".svg": "image/svg+xml",
  ".webp": "image/webp",
  ".ics": "text/calendar",
};

function attachment(path: string): Attachment {
  const contentType = types[extname(path).toLowerCase()];
  return { filename: basename(path), content: readInput(path), ...(contentType === undefined ? {} : { contentType }) };
}

function readInput(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > INPUT_LIMIT) throw new CliError(exitCodes.data, `${path} is larger than ${INPUT_LIMIT} octets.`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new CliError(exitCodes.noInput, `cannot read ${path}: ${why}.`, undefined, { cause: error });
  }
}

async function rawMessage(options: MessageOptions, path: string): Promise<Outgoing> {
  const bytes = withCrlf(path === "-" ? await readAll(INPUT_LIMIT, "a message") : readInput(path));
  const { section, body } = readHeaderSection(bytes);
  if (section.ending === "limit") throw new CliError(exitCodes.data, `the header section of ${path} is too long.`);
  const given = addressesIn("--to", [...(options.to ?? []), ...(options.cc ?? []), ...(options.bcc ?? [])]);
  const [sender] = addressesIn("--from", options.from === undefined ? [] : [options.from]);
  const said = sender !== undefined && given.length > 0 ? undefined : envelopeFromHeaders(section);
  if (said !== undefined && !said.ok) {
    // A header with no recipients does not matter where they are given; then --from is all that is missing.
    throw new CliError(exitCodes.data, `${path}: ${said.error}.`, "Name the envelope with --from and --to.");
  }
  const hides = section.has("bcc") || section.has("resent-bcc");
  const content = hides ? [...section.without(["bcc", "resent-bcc"]), section.whole.subarray(section.bytes.length), body] : [bytes];
  const from = sender ?? (said as { from: Mailbox }).from;
  const to = given.length > 0 ? distinct(given) : (said as { to: readonly Mailbox[] }).to;
  return outgoing({ from, to, content: content.filter((chunk) => chunk.length > 0), smtpUtf8: false });
}

function addressesIn(option: string, texts: readonly string[]): Mailbox[] {
  return texts.flatMap((text) => {
    const list = parseAddressList(text);
    if (!list.ok) throw new CliError(exitCodes.data, `${option}: ${list.error}.`);
    return list.addresses.map(({ mailbox }) => mailbox);
  });
}

/** Files of this system end their lines in LF; a CR or LF that stands alone cannot be sent (RFC 5321 2.3.8). */
function withCrlf(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString("latin1");
  return /(?:^|[^\r])\n|\r(?!\n)/.test(text) ? Buffer.from(text.replace(/\r\n|\r|\n/g, "\r\n"), "latin1") : bytes;
}
