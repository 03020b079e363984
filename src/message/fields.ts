/**
 * Fields of a draft as a header has them.
 *
 * Rules
 * 1. Whatever a caller gives is checked here before it is written: names are field names, values hold no control, a line holds 998 octets at most.
 * 2. A field that has a place of its own in the draft cannot come by `headers`: RFC 5322 3.6 has it once.
 */
import type { Mailbox } from "../mail/mailbox.ts";
import { parseMailbox } from "../mail/mailbox.ts";
import { isAscii, utf8 } from "../util/bytes.ts";
import { type NamedMailbox, parseAddressList } from "./address.ts";
import { formatNamedMailbox } from "./address-text.ts";
import { LINE_LIMIT } from "./body-sinks.ts";
import { ComposeError, checkedString, checkedText, shown } from "./compose-error.ts";
import type { AddressInput, AddressInputs, HeaderInputs, HeaderValue } from "./draft.ts";
import { foldField, type HeaderStyle, splitWords, trimBlanks, unstructuredField } from "./encoded-word.ts";
import { structuredField } from "./mime-part.ts";

/** Octets of an address: with its brackets it stays on a line of 998. */
export const ADDRESS_LIMIT = 900;
/** Octets of a Message-ID, for the same reason. */
export const MESSAGE_ID_LIMIT = 900;

/** The mailboxes of an address field. Throws a `ComposeError` that names `field`. */
export function readAddresses(field: string, inputs: AddressInputs | undefined): NamedMailbox[] {
  if (inputs === undefined) return [];
  const list: readonly AddressInput[] = Array.isArray(inputs) ? inputs : [inputs as AddressInput];
  return list.flatMap((input) => readAddress(field, input));
}

function readAddress(field: string, input: AddressInput): readonly NamedMailbox[] {
  if (typeof input === "string") return readList(field, input);
  if (typeof input !== "object" || input === null) throw new ComposeError(field, "is neither a text nor { name, address }");
  const found = readList(field, checkedString(field, input.address));
  const [only] = found;
  if (only === undefined || found.length > 1) throw new ComposeError(field, `${shown(input.address)} is not one address`);
  if (input.name === undefined) return [only];
  return [{ name: trimBlanks(checkedText(field, checkedString(field, input.name))), mailbox: only.mailbox }];
}

function readList(field: string, input: string): readonly NamedMailbox[] {
  const text = checkedText(field, input);
  const single = parseMailbox(trimBlanks(text));
  const list = single === undefined ? parseAddressList(text) : ({ ok: true, addresses: [{ mailbox: single }] } as const);
  if (!list.ok) throw new ComposeError(field, list.error);
  for (const { name, mailbox } of list.addresses) {
    if (name !== undefined) checkedText(field, name); // it may have been encoded
    if (
      mailbox.localPart.length + mailbox.domain.length > ADDRESS_LIMIT ||
      utf8(mailbox.localPart).length > ADDRESS_LIMIT - mailbox.domain.length
    ) {
      throw new ComposeError(field, `${shown(mailbox.localPart)} is longer than ${ADDRESS_LIMIT} octets`);
    }
  }
  return list.addresses;
}

/** The one mailbox in this, or an error. */
export function readOneAddress(field: string, input: AddressInput): NamedMailbox {
  const found = readAddresses(field, [input]);
  const [only] = found;
  if (only === undefined || found.length > 1) throw new ComposeError(field, "one address is needed");
  return only;
}

/** A field of addresses, folded between words; nothing for none. */
export function addressField(name: string, list: readonly NamedMailbox[], style: HeaderStyle): string {
  if (list.length === 0) return "";
  const pieces: string[] = [];
  for (let i = 0; i < list.length; i++) {
    const words = formatNamedMailbox(list[i] as NamedMailbox, style);
    for (let k = 0; k < words.length; k++) {
      pieces.push(`${pieces.length === 0 ? "" : " "}${words[k]}${k === words.length - 1 && i < list.length - 1 ? "," : ""}`);
    }
  }
  return foldField(name, pieces);
}

/** A header that holds this address needs SMTPUTF8 (RFC 6531 3.6). */
export const needsUtf8 = (mailbox: Mailbox): boolean => !isAscii(mailbox.localPart);

/** Message-IDs in a list or parted by blanks, each without its angle brackets. One that is not ASCII is let through: it is another's (RFC 6532 3.2). */
export function readMessageIds(field: string, input: string | readonly string[] | undefined): string[] {
  if (input === undefined) return [];
  const texts: readonly unknown[] = typeof input === "string" ? [input] : input;
  return texts.flatMap((text) => {
    const words = checkedText(field, checkedString(field, text))
      .replaceAll("><", "> <")
      .split(/[ \t,]+/);
    return words.filter((word) => word !== "").map((word) => readMessageId(field, word));
  });
}

/** One Message-ID, `left@right`, without its angle brackets. */
export function readMessageId(field: string, text: string): string {
  const id = trimBlanks(checkedText(field, checkedString(field, text))).replace(/^<(.*)>$/s, "$1");
  if (
    !/^[!-;=?-~\u00a0-\u{10ffff}]+$/u.test(id) ||
    !id.isWellFormed() ||
    id.length > MESSAGE_ID_LIMIT ||
    utf8(id).length > MESSAGE_ID_LIMIT
  ) {
    throw new ComposeError(field, `${shown(text)} is not a Message-ID`);
  }
  return id;
}

/** `Field: <id> <id>`; nothing for none. */
export function messageIdField(name: string, ids: readonly string[]): string {
  return ids.length === 0
    ? ""
    : foldField(
        name,
        ids.map((id, i) => `${i === 0 ? "" : " "}<${id}>`),
      );
}

const fieldName = /^[!-9;-~]{1,70}$/;

export interface OtherFields {
  /** The property of the draft, for errors. */
  readonly property: string;
  /** Fields that are written elsewhere, in lower case. */
  readonly taken: (name: string) => boolean;
  readonly style: HeaderStyle;
  /** Capitalises names as RFCs do: `x-order` -> `X-Order`. */
  readonly normalize: boolean;
}

/** Fields as the caller names them, in order. */
export function otherFields(inputs: HeaderInputs | undefined, options: OtherFields): string {
  if (inputs === undefined) return "";
  let header = "";
  for (const [name, value] of entriesOf(inputs)) header += otherField(name, value, options);
  return header;
}

function entriesOf(inputs: HeaderInputs): [string, HeaderValue][] {
  if (isFieldList(inputs)) return inputs.map(({ name, value }) => [name, value]);
  return Object.entries(inputs).flatMap(([name, value]) =>
    (isValueList(value) ? value : [value]).map((each): [string, HeaderValue] => [name, each]),
  );
}

const isFieldList = (inputs: HeaderInputs): inputs is readonly { readonly name: string; readonly value: HeaderValue }[] =>
  Array.isArray(inputs);
const isValueList = (value: HeaderValue | readonly HeaderValue[]): value is readonly HeaderValue[] => Array.isArray(value);

function otherField(given: string, value: HeaderValue, { property, taken, style, normalize }: OtherFields): string {
  if (typeof given !== "string" || !fieldName.test(given)) throw new ComposeError(property, `${shown(String(given))} is not a field name`);
  if (taken(given.toLowerCase())) throw new ComposeError(property, `${given} cannot be set here: it has a property of its own, or is made`);
  const name = normalize ? normalizedFieldName(given) : given;
  if (typeof value === "string") return unstructuredField(name, checkedText(name, value), style);
  if (typeof value !== "object" || value === null) throw new ComposeError(name, `its value is of type ${typeof value}`);
  if ("prepared" in value) return preparedField(name, value.prepared, style);
  if ("addresses" in value) {
    const addresses = readAddresses(name, value.addresses);
    if (style === "ascii" && addresses.some(({ mailbox }) => needsUtf8(mailbox))) {
      throw new ComposeError(name, "its address needs SMTPUTF8, which no address of the message's own does");
    }
    return addressField(name, addresses, style);
  }
  return structuredValue(name, value.value, value.parameters);
}

function structuredValue(name: string, value: string, parameters: Readonly<Record<string, string>>): string {
  const text = checkedText(name, checkedString(name, value));
  if (!/^[ -:<-~]{0,500}$/.test(text)) throw new ComposeError(name, `${shown(text)} cannot stand before parameters`);
  const entries = Object.entries(parameters).map(([key, each]): [string, string] => {
    if (!/^[\w!#$&^.+-]{1,60}$/.test(key)) throw new ComposeError(name, `${shown(key)} is not the name of a parameter`);
    return [key, checkedText(name, checkedString(name, each))];
  });
  return structuredField(name, text, entries);
}

/** A value in its final form: it may be folded already, and is folded between words where it is not. */
function preparedField(name: string, given: string, style: HeaderStyle): string {
  const text = checkedString(name, given);
  const lines = text.split("\r\n");
  for (const [i, line] of lines.entries()) {
    if (i > 0 && !/^[ \t]+[^ \t]/.test(line)) throw new ComposeError(name, "holds a line break that is no folding");
    checkedText(name, line);
  }
  if (style === "ascii" && !isAscii(text)) throw new ComposeError(name, "is prepared, but not ASCII");
  if (!text.isWellFormed()) throw new ComposeError(name, "holds half a character");
  return lines.length > 1 ? `${name}: ${trimBlanks(text)}\r\n` : foldField(name, splitWords(trimBlanks(text)));
}

const acronyms: ReadonlySet<string> = new Set(["mime", "dkim", "arc", "spf", "tls", "amp", "uid"]);

/** `message-id` -> `Message-ID`, `mime-version` -> `MIME-Version`, `x-order` -> `X-Order`. */
export function normalizedFieldName(name: string): string {
  return name
    .toLowerCase()
    .split("-")
    .map((word, i, words) => {
      if (acronyms.has(word) || (word === "id" && i > 0 && words[0] !== "list")) return word.toUpperCase();
      return word.charAt(0).toUpperCase() + word.slice(1);
    })
    .join("-");
}

/** The header, unless a line of it passes what SMTP carries (RFC 5321 4.5.3.1.6). The last check before bytes are made of it. */
export function checkedHeader(header: string): string {
  let start = 0;
  for (let end = header.indexOf("\r\n"); end >= 0; end = header.indexOf("\r\n", start)) {
    if (end - start > LINE_LIMIT / 3 && utf8(header.slice(start, end)).length > LINE_LIMIT) {
      const line = header.slice(start, end);
      throw new ComposeError(
        /^[!-9;-~]+/.exec(line)?.[0] ?? "headers",
        `its line is longer than ${LINE_LIMIT} octets and cannot be folded`,
      );
    }
    start = end + 2;
  }
  return header;
}
