/**
 * Media types: taken apart strictly where a draft names one (RFC 2045 5.1), and guessed by the name of a file.
 *
 * Rules
 * 1. A type is checked whole and written anew: nothing of its text reaches a header as it came.
 * 2. A file whose name says nothing is `application/octet-stream`: no guess is made by its content.
 */
import { ComposeError, checkedText, shown } from "./compose-error.ts";

export interface MediaType {
  /** `type/subtype` in lower case. */
  readonly type: string;
  /** As written, without their quotes; names in lower case. */
  readonly parameters: readonly (readonly [string, string])[];
}

/** Characters of a type with its parameters. */
export const MEDIA_TYPE_LIMIT = 500;

// RFC 6838 4.2: restricted names, up to 127 characters.
const typeText = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i;
const parameterText = /^\s*([\w!#$&^.+-]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";\\()<>@,:/[\]?=]+))\s*(?:;|$)/;

/** The type in a text such as `text/csv; header=present`. Throws a `ComposeError` that names `field`. */
export function readMediaType(field: string, text: string): MediaType {
  const wrong = () => new ComposeError(field, `${shown(text)} is not a media type`);
  if (text.length > MEDIA_TYPE_LIMIT || !/^[\t -~]*$/.test(checkedText(field, text))) throw wrong();
  const semicolon = text.indexOf(";");
  const type = (semicolon < 0 ? text : text.slice(0, semicolon)).trim();
  if (!typeText.test(type)) throw wrong();
  const parameters: [string, string][] = [];
  let rest = semicolon < 0 ? "" : text.slice(semicolon + 1);
  while (rest.trim() !== "") {
    const found = parameterText.exec(rest);
    if (found === null) throw wrong();
    const [whole, name = "", quoted, token = ""] = found;
    parameters.push([name.toLowerCase(), quoted === undefined ? token : quoted.replace(/\\(.)/g, "$1")]);
    rest = rest.slice(whole.length);
  }
  return { type: type.toLowerCase(), parameters };
}

/** Extensions, by type: the first of a type is the one that a name is given. */
const extensionsOf: Readonly<Record<string, string>> = {
  "application/epub+zip": "epub",
  "application/gzip": "gz gzip tgz",
  "application/java-archive": "jar",
  "application/json": "json map",
  "application/ld+json": "jsonld",
  "application/msword": "doc dot",
  "application/octet-stream": "bin dmg exe iso img msi deb dll",
  "application/pdf": "pdf",
  "application/pgp-encrypted": "pgp",
  "application/pgp-signature": "asc sig",
  "application/pkcs7-mime": "p7m p7c",
  "application/pkcs7-signature": "p7s",
  "application/pkix-cert": "cer",
  "application/postscript": "ps ai eps",
  "application/rtf": "rtf",
  "application/sql": "sql",
  "application/vnd.android.package-archive": "apk",
  "application/vnd.apple.pages": "pages",
  "application/vnd.apple.numbers": "numbers",
  "application/vnd.apple.keynote": "key",
  "application/vnd.ms-excel": "xls xlt",
  "application/vnd.ms-outlook": "msg",
  "application/vnd.ms-powerpoint": "ppt pps",
  "application/vnd.oasis.opendocument.presentation": "odp",
  "application/vnd.oasis.opendocument.spreadsheet": "ods",
  "application/vnd.oasis.opendocument.text": "odt",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "application/vnd.rar": "rar",
  "application/vnd.sqlite3": "sqlite db",
  "application/vnd.visio": "vsd",
  "application/wasm": "wasm",
  "application/x-7z-compressed": "7z",
  "application/x-bzip2": "bz2",
  "application/x-tar": "tar",
  "application/x-xz": "xz",
  "application/xhtml+xml": "xhtml",
  "application/xml": "xml xsd xsl",
  "application/yaml": "yaml yml",
  "application/zip": "zip",
  "application/zstd": "zst",
  "audio/aac": "aac",
  "audio/flac": "flac",
  "audio/midi": "mid midi",
  "audio/mp4": "m4a",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg oga opus",
  "audio/wav": "wav",
  "audio/webm": "weba",
  "font/otf": "otf",
  "font/ttf": "ttf",
  "font/woff": "woff",
  "font/woff2": "woff2",
  "image/avif": "avif",
  "image/bmp": "bmp",
  "image/gif": "gif",
  "image/heic": "heic",
  "image/jpeg": "jpg jpeg jpe jfif",
  "image/jxl": "jxl",
  "image/png": "png",
  "image/svg+xml": "svg svgz",
  "image/tiff": "tif tiff",
  "image/vnd.microsoft.icon": "ico",
  "image/webp": "webp",
  "message/rfc822": "eml mht mhtml",
  "model/gltf-binary": "glb",
  "model/stl": "stl",
  "text/calendar": "ics ifb",
  "text/css": "css",
  "text/csv": "csv",
  "text/html": "html htm",
  "text/javascript": "js mjs",
  "text/markdown": "md markdown",
  "text/plain": "txt text log conf ini",
  "text/tab-separated-values": "tsv",
  "text/vcard": "vcf vcard",
  "video/3gpp": "3gp",
  "video/mp4": "mp4 m4v",
  "video/mpeg": "mpeg mpg",
  "video/ogg": "ogv",
  "video/quicktime": "mov qt",
  "video/webm": "webm",
  "video/x-matroska": "mkv",
  "video/x-ms-wmv": "wmv",
  "video/x-msvideo": "avi",
};

const typesByExtension: ReadonlyMap<string, string> = new Map(
  Object.entries(extensionsOf).flatMap(([type, extensions]) => extensions.split(" ").map((extension) => [extension, type] as const)),
);

/** The type of a file with this name, by what follows its last dot; `application/octet-stream` where that says nothing. */
export function mediaTypeOfFile(filename: string): string {
  const dot = filename.lastIndexOf(".");
  return (dot < 0 ? undefined : typesByExtension.get(filename.slice(dot + 1).toLowerCase())) ?? "application/octet-stream";
}

/** The extension of a file of this type, without a dot: `png` for `image/png`; `bin` where the table has none. */
export function extensionOf(type: string): string {
  return (Object.hasOwn(extensionsOf, type) ? extensionsOf[type]?.split(" ")[0] : undefined) || "bin";
}
