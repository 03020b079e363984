/**
 * `data:` URIs (RFC 2397): decoded, and taken out of HTML into parts that it shows by `cid:`.
 *
 * Rules
 * 1. Linear in the length of the HTML: each URI is looked at once, and only what stands right before it besides.
 * 2. Only images that a `src` names are taken out; what cannot be decoded stays where it is.
 */
import { utf8 } from "../util/bytes.ts";
import { ComposeError } from "./compose-error.ts";
import type { Attachment } from "./draft.ts";
import { extensionOf } from "./media-type.ts";
import { decodeLooseBase64 } from "./source.ts";

export interface DataUri {
  /** As written, or RFC 2397's `text/plain;charset=US-ASCII`. */
  readonly contentType: string;
  readonly content: Uint8Array;
}

/** Throws a `ComposeError` that names `field` for what is no `data:` URI. */
export function decodeDataUri(uri: string, field = "dataUri"): DataUri {
  const comma = uri.indexOf(",");
  if (comma < 0 || !/^data:/i.test(uri)) throw new ComposeError(field, "is not a data: URI");
  const head = uri.slice("data:".length, comma);
  const base64 = /;\s*base64\s*$/i.test(head.slice(-40));
  const type = (base64 ? head.slice(0, head.lastIndexOf(";")) : head).trim();
  const contentType = type === "" ? "text/plain;charset=US-ASCII" : type.startsWith(";") ? `text/plain${type}` : type;
  const content = percentDecode(uri.slice(comma + 1));
  return { contentType, content: base64 ? decodeLooseBase64(field, content.text) : content.octets };
}

function percentDecode(text: string): { readonly text: string; readonly octets: Uint8Array } {
  if (!text.includes("%")) {
    return {
      text,
      get octets() {
        return utf8(text);
      },
    };
  }
  const source = utf8(text);
  const octets = new Uint8Array(source.length);
  let plain = "";
  let o = 0;
  for (let i = 0; i < source.length; i++) {
    const escaped = source[i] === 37 ? Number.parseInt(String.fromCharCode(source[i + 1] ?? 0, source[i + 2] ?? 0), 16) : Number.NaN;
    const isEscape = !Number.isNaN(escaped) && isHex(source[i + 1]) && isHex(source[i + 2]);
    octets[o++] = isEscape ? escaped : (source[i] as number);
    plain += String.fromCharCode(octets[o - 1] as number);
    if (isEscape) i += 2;
  }
  return { text: plain, octets: octets.subarray(0, o) };
}

const isHex = (c: number | undefined): boolean => c !== undefined && ((c >= 48 && c <= 57) || ((c | 32) >= 97 && (c | 32) <= 102));

/** Images that are taken out of one HTML; more stay in it. */
export const DATA_IMAGE_LIMIT = 500;
/** Characters before a URI in which its `src=` is looked for. */
const LOOK_BACK = 24;

/** The HTML with `cid:` in place of its `data:` images, and those as inline parts; an image that stands in it twice is one part. */
export function attachDataImages(html: string, idSuffix: string): { readonly html: string; readonly attachments: readonly Attachment[] } {
  const attachments: Attachment[] = [];
  const known = new Map<string, string>();
  const pieces: string[] = [];
  let from = 0;
  for (let at = html.indexOf("data:image/"); at >= 0; at = html.indexOf("data:image/", at + 1)) {
    if (at < from) continue;
    const before = /[\s"']src\s*=\s*(["']?)$/i.exec(html.slice(Math.max(from, at - LOOK_BACK), at));
    if (before === null) continue;
    const end = before[1] ? html.indexOf(before[1], at) : endOfUnquoted(html, at);
    if (end < 0) break;
    const uri = html.slice(at, end);
    const cid = known.get(uri) ?? attach(uri, `image${attachments.length + 1}.${idSuffix}`, attachments);
    if (cid === undefined) continue;
    known.set(uri, cid);
    pieces.push(html.slice(from, at), `cid:${cid}`);
    from = end;
  }
  return { html: pieces.join("") + html.slice(from), attachments };
}

function endOfUnquoted(html: string, at: number): number {
  for (let i = at; i < html.length; i++) if (/[\s>"']/.test(html[i] as string)) return i;
  return html.length;
}

function attach(uri: string, cid: string, attachments: Attachment[]): string | undefined {
  if (attachments.length >= DATA_IMAGE_LIMIT) return undefined;
  try {
    const { contentType, content } = decodeDataUri(uri);
    const number = attachments.length + 1;
    const filename = `image${number}.${extensionOf((contentType.split(";")[0] as string).toLowerCase())}`;
    attachments.push({ content, contentType, cid, filename });
    return cid;
  } catch (error) {
    if (error instanceof ComposeError) return undefined;
    throw error;
  }
}
