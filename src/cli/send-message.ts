/**
 * The message that `postrider send` sends: composed of its options, or one that is there already.
 *
 * Rules
 * 1. A raw message goes as it is, but for Bcc, and for line ends, which become CRLF.
 * 2. Everything is checked before a connection is opened; attachments and large raw messages are read while they are sent.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { attachFile, file } from "../client/file-source.ts";
import type { ClientMessage } from "../client/message-input.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { AddressInputs, Attachment } from "../message/draft.ts";
import { envelopeFromHeaders } from "../message/envelope.ts";
import { HEADER_SECTION_LIMIT, readHeaderSection } from "../message/header-section.ts";
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
  readonly idempotencyKey?: string;
  readonly passwordStdin?: boolean;
}

/** Octets of standard input. */
const INPUT_LIMIT = 512 * 1024 * 1024;
/** From this size on a raw message is read while it is sent. */
const STREAMED_FROM = 32 * 1024 * 1024;

/** `sender`: the account's address, for where no From is given. Throws a CliError. */
export async function messageOf(options: MessageOptions, sender: string | undefined): Promise<ClientMessage> {
  const { raw, subject, html, idempotencyKey } = options;
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  if (raw !== undefined) return { ...(await rawMessage(options, raw)), ...key };
  const from = options.from ?? sender;
  if (from === undefined) throw new CliError(exitCodes.usage, "from whom?", "Name the sender with --from.");
  if (recipients(options).length === 0) throw new CliError(exitCodes.usage, "to whom?", "Name a recipient with --to, --cc or --bcc.");
  const text = await bodyText(options);
  return {
    from,
    to: options.to ?? [],
    cc: options.cc ?? [],
    bcc: options.bcc ?? [],
    ...(subject === undefined ? {} : { subject }),
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    headers: (options.header ?? []).map(headerOf),
    attachments: (options.attach ?? []).map(attachment),
    ...key,
  };
}

const recipients = ({ to = [], cc = [], bcc = [] }: MessageOptions): string[] => [...to, ...cc, ...bcc];

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

function attachment(path: string): Attachment {
  return reading(path, () => attachFile(path));
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new CliError(exitCodes.noInput, `cannot read ${path}: ${why}.`, undefined, { cause: error });
  }
}

async function rawMessage(options: MessageOptions, path: string): Promise<ClientMessage> {
  const { from } = options;
  const to = recipients(options);
  const given = { ...(from === undefined ? {} : { from }), ...(to.length === 0 ? {} : { to }) };
  if (path === "-") return { raw: await readAll(INPUT_LIMIT, "a message"), envelope: given };
  if (reading(path, () => statSync(path)).size < STREAMED_FROM) return { raw: reading(path, () => readFileSync(path)), envelope: given };
  return { raw: reading(path, () => file(path)), envelope: { ...envelopeOf(path, given), ...given } };
}

/** What the header of a large message says of who it is from and to. */
function envelopeOf(path: string, given: { readonly from?: string; readonly to?: AddressInputs }) {
  if (given.from !== undefined && given.to !== undefined) return given;
  const { section } = readHeaderSection(reading(path, () => firstOctets(path, HEADER_SECTION_LIMIT)));
  const said = envelopeFromHeaders(section);
  if (!said.ok) throw new CliError(exitCodes.data, `${path}: ${said.error}.`, "Name the envelope with --from and --to.");
  return { from: { address: formatMailbox(said.from) }, to: said.to.map((mailbox) => ({ address: formatMailbox(mailbox) })) };
}

function firstOctets(path: string, count: number): Uint8Array {
  const octets = new Uint8Array(count);
  const fd = openSync(path, "r");
  try {
    return octets.subarray(0, readSync(fd, octets));
  } finally {
    closeSync(fd);
  }
}
