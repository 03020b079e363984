/**
 * Custom fields and List- fields in Nodemailer's shapes as a draft takes them.
 *
 * Rules
 * 1. A field that has a place of its own in the message, such as Message-ID, is put there, unless the message has it already.
 * 2. Names are capitalised as Nodemailer has it, or as `normalizeHeaderKey` says.
 */
import type { HeaderValue as DraftValue, ListFields, ListUrl } from "../message/draft.ts";
import { normalizedFieldName } from "../message/fields.ts";
import { NodemailerError } from "./errors.ts";
import type { Headers, HeaderValue, ListEntry, ListHeaders, SendMailOptions } from "./mail-options.ts";

export interface Field {
  readonly name: string;
  readonly value: DraftValue;
}

/** Where a field of the header stands in the message. */
const places = {
  from: "from",
  sender: "sender",
  to: "to",
  cc: "cc",
  bcc: "bcc",
  "reply-to": "replyTo",
  "in-reply-to": "inReplyTo",
  references: "references",
  subject: "subject",
  "message-id": "messageId",
  date: "date",
} as const satisfies Record<string, keyof SendMailOptions>;

/** The fields that have no place of their own, and those that have. */
export function readHeaders(
  headers: Headers | undefined,
  normalize: SendMailOptions["normalizeHeaderKey"],
): { readonly fields: readonly Field[]; readonly placed: Partial<SendMailOptions> } {
  const fields: Field[] = [];
  const placed: Partial<SendMailOptions> = {};
  for (const [key, values] of entriesOf(headers)) {
    const lower = key.toLowerCase().trim();
    for (const value of values) {
      if (Object.hasOwn(places, lower)) placed[places[lower as keyof typeof places]] = textOf(value);
      else if (lower !== "mime-version") fields.push({ name: nameOf(key.trim(), value, normalize), value: fieldValue(value) });
    }
  }
  return { fields, placed };
}

function entriesOf(headers: Headers | undefined): (readonly [string, readonly HeaderValue[]])[] {
  if (headers === undefined || headers === null) return [];
  const pairs = Array.isArray(headers) ? headers.map(({ key, value }) => [key, value] as const) : Object.entries(headers);
  return pairs.map(([key, value]) => {
    const values: readonly (HeaderValue | null | undefined)[] = Array.isArray(value) ? value : [value as HeaderValue];
    return [String(key), values.filter((one): one is HeaderValue => one !== null && one !== undefined)] as const;
  });
}

function nameOf(key: string, value: HeaderValue, normalize: SendMailOptions["normalizeHeaderKey"]): string {
  return normalize === undefined ? normalizedFieldName(key) : normalize(key, textOf(value));
}

function textOf(value: HeaderValue): string {
  if (value instanceof Date) return value.toUTCString().replace(/GMT/, "+0000");
  return typeof value === "object" ? String(value.value) : String(value);
}

function fieldValue(value: HeaderValue): DraftValue {
  const prepared = typeof value === "object" && !(value instanceof Date) && value.prepared === true;
  return prepared ? { prepared: textOf(value) } : textOf(value);
}

const listNames = {
  help: "help",
  unsubscribe: "unsubscribe",
  subscribe: "subscribe",
  post: "post",
  owner: "owner",
  archive: "archive",
} as const satisfies Record<string, keyof ListFields>;

/** Fields of mailing lists. A name that RFC 2369, 2919 and 8058 do not have becomes a field of its own. */
export function readList(list: ListHeaders | undefined): { readonly list: ListFields | undefined; readonly fields: readonly Field[] } {
  const made: { -readonly [K in keyof ListFields]: ListFields[K] } = {};
  const fields: Field[] = [];
  for (const [key, value] of Object.entries(list ?? {})) {
    const lower = key.toLowerCase().trim();
    const entries = (Array.isArray(value) ? value.flat() : [value]).filter((entry): entry is Exclude<ListEntry, false | null> =>
      Boolean(entry),
    );
    if (entries.length === 0) continue;
    const [first] = entries;
    if (lower === "id") made.id = listId(first as Exclude<ListEntry, false | null>);
    else if (lower === "unsubscribe-post") made.oneClick = isOneClick(first);
    else if (Object.hasOwn(listNames, lower))
      made[listNames[lower as keyof typeof listNames]] = entries.map((entry) => listUrl(entry, lower));
    else for (const entry of entries) fields.push({ name: normalizedFieldName(`list-${lower}`), value: urlOf(entry) });
  }
  return { list: Object.keys(made).length === 0 ? undefined : made, fields };
}

function isOneClick(entry: ListEntry | undefined): boolean {
  const text = entry ? urlOf(entry) : "";
  if (text.replace(/\s/g, "") === "List-Unsubscribe=One-Click") return true;
  throw new NodemailerError("EMESSAGE", "list.unsubscribe-post can be List-Unsubscribe=One-Click alone (RFC 8058)", { command: "API" });
}

function urlOf(entry: Exclude<ListEntry, false | null>): string {
  return typeof entry === "string" ? entry : entry.url;
}

/** As Nodemailer has it: an address is a mailto URL, and what names no scheme is on the web. */
function listUrl(entry: Exclude<ListEntry, false | null>, field: string): ListUrl {
  const text = urlOf(entry).replace(/[\s<>]+/g, "");
  const url =
    field === "post" && text === "NO"
      ? text
      : /^(?:https?|mailto|ftp):/i.test(text)
        ? text
        : /^[^@]+@[^@]+$/.test(text)
          ? `mailto:${text}`
          : `http://${text}`;
  return typeof entry === "string" || entry.comment === undefined || entry.comment === "" ? url : { url, comment: entry.comment };
}

function listId(entry: Exclude<ListEntry, false | null>): NonNullable<ListFields["id"]> {
  const id = urlOf(entry)
    .replace(/^<|>$/g, "")
    .replace(/^[a-z]+:\/{0,2}/i, "");
  return typeof entry === "string" || entry.comment === undefined || entry.comment === "" ? id : { id, name: entry.comment };
}
