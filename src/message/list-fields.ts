/**
 * The fields of mailing lists: List-Help and its like (RFC 2369), List-Id (RFC 2919), List-Unsubscribe-Post (RFC 8058).
 *
 * Rules
 * 1. A URL stands in angle brackets, which quote nothing: what could close them, or is not ASCII, is refused or escaped before.
 * 2. One-click needs exactly one https URL in List-Unsubscribe, so that no reader can POST to another (RFC 8058 3.1).
 */
import { isDomain, toAscii } from "../mail/domain.ts";
import { parseMailbox } from "../mail/mailbox.ts";
import { isAscii } from "../util/bytes.ts";
import { formatPhrase } from "./address-text.ts";
import { ComposeError, checkedString, checkedText, shown } from "./compose-error.ts";
import type { ListFields, ListUrl } from "./draft.ts";
import { ENCODED_WORD_LIMIT, encodeWords, foldField, type HeaderStyle, needsEncodedWord, splitWords } from "./encoded-word.ts";

/** Characters of a URL: with its brackets it stays on a line of 998. */
export const LIST_URL_LIMIT = 900;
/** Characters of a comment that is written without being encoded, for the same reason. */
const COMMENT_LIMIT = 200;

const urlFields = [
  ["List-Help", "help"],
  ["List-Unsubscribe", "unsubscribe"],
  ["List-Subscribe", "subscribe"],
  ["List-Post", "post"],
  ["List-Owner", "owner"],
  ["List-Archive", "archive"],
] as const;

/** The fields, folded, each with its CRLF. Throws a `ComposeError`. */
export function listFields(list: ListFields, style: HeaderStyle): string {
  let header = list.id === undefined ? "" : listId(list.id, style);
  for (const [name, key] of urlFields) {
    const value = list[key];
    if (value === undefined) continue;
    const urls: readonly ListUrl[] = Array.isArray(value) ? value : [value as ListUrl];
    if (urls.length > 0)
      header += foldField(
        name,
        urls.flatMap((url, i) => urlPieces(name, url, i, urls.length)),
      );
    if (key === "unsubscribe" && list.oneClick === true) header += oneClick(urls);
  }
  if (list.oneClick === true && list.unsubscribe === undefined) header += oneClick([]);
  return header;
}

function oneClick(urls: readonly ListUrl[]): string {
  const web = urls.map((url) => (typeof url === "string" ? url : url.url).trim()).filter((url) => /^https?:/i.test(url));
  if (web.length !== 1 || !/^https:\/\//i.test(web[0] as string)) {
    throw new ComposeError("List-Unsubscribe-Post", "one-click needs exactly one https URL in list.unsubscribe, and no http URL");
  }
  return "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
}

function urlPieces(field: string, input: ListUrl, index: number, count: number): string[] {
  const { url, comment } = typeof input === "string" ? { url: input, comment: undefined } : input;
  const text = checkedText(field, checkedString(field, url)).trim();
  const pieces = [field === "List-Post" && text === "NO" ? text : `<${urlText(field, text)}>`];
  if (comment !== undefined && comment !== "") pieces.push(...commentPieces(checkedText(field, comment)));
  if (index < count - 1) pieces[pieces.length - 1] += ",";
  if (index > 0) pieces[0] = ` ${pieces[0]}`;
  return pieces;
}

function urlText(field: string, text: string): string {
  let url = parseMailbox(text) !== undefined ? `mailto:${text}` : text;
  const wrong = () => new ComposeError(field, `${shown(text)} is neither a URL nor a mailbox`);
  if (/^(?:https?|ftps?):/i.test(url)) {
    if (!URL.canParse(url)) throw wrong();
    if (!isAscii(url)) url = new URL(url).href;
  } else if (/^mailto:/i.test(url)) url = encodeURI(url).replaceAll("%25", "%");
  else throw wrong();
  if (url.length > LIST_URL_LIMIT || !/^[!-;=?-~]+$/.test(url)) throw wrong();
  return url;
}

/** RFC 2047 5 (2): in a comment encoded words stand by themselves; parentheses and backslashes of the text are quoted. */
function commentPieces(comment: string): string[] {
  if (needsEncodedWord(comment) || comment.length > COMMENT_LIMIT) {
    const words = encodeWords(comment, ENCODED_WORD_LIMIT - " ()".length);
    return words.map((word, i) => ` ${i === 0 ? "(" : ""}${word}${i === words.length - 1 ? ")" : ""}`);
  }
  return splitWords(` (${comment.replace(/[()\\]/g, "\\$&")})`);
}

function listId(input: string | { readonly id: string; readonly name?: string }, style: HeaderStyle): string {
  const { id, name } = typeof input === "string" ? { id: input, name: undefined } : input;
  const text = checkedText("List-Id", checkedString("List-Id", id))
    .trim()
    .replace(/^<(.*)>$/s, "$1");
  const ascii = toAscii(text);
  if (ascii === undefined || !isDomain(ascii)) throw new ComposeError("List-Id", `${shown(text)} is not of the form list.example.com`);
  const words = name === undefined || name === "" ? [] : formatPhrase(checkedText("List-Id", name), style);
  return foldField(
    "List-Id",
    [...words, `<${isAscii(text) ? text : ascii}>`].map((word, i) => (i === 0 ? word : ` ${word}`)),
  );
}
