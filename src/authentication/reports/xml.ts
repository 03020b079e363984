/**
 * The little XML that reports are written in: elements and texts, nothing more.
 *
 * Rules
 * 1. What strangers send: DEPTH_LIMIT, ELEMENT_LIMIT, XML_LIMIT, and no document type, so that nothing can expand or be fetched.
 * 2. Prefixes of namespaces are taken off; attributes, comments and instructions are read over.
 * 3. Linear in the length of the text. Not well-formed is an XmlError.
 */

/** Characters of a document. */
export const XML_LIMIT = 32 * 1024 * 1024;
export const ELEMENT_LIMIT = 1_000_000;
export const DEPTH_LIMIT = 32;

export class XmlError extends Error {
  override readonly name = "XmlError";
}

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** Its own text, without that of its children. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface Open {
  readonly qualified: string;
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/** The root element of a document. */
export function parseXml(document: string): XmlElement {
  if (document.length > XML_LIMIT) throw new XmlError(`the document has more than ${XML_LIMIT} characters`);
  const root: Open = { qualified: "", name: "", text: "", children: [] };
  const open: Open[] = [root];
  let elements = 0;
  for (let at = document.startsWith("\ufeff") ? 1 : 0; at < document.length; ) {
    const top = open[open.length - 1] as Open;
    if (document[at] !== "<") {
      const end = indexOrEnd(document, "<", at);
      const text = document.slice(at, end);
      if (top === root && text.trim() !== "") throw new XmlError("there is text outside the root element");
      top.text += unescapeXml(text);
      at = end;
    } else if (document.startsWith("<!--", at)) at = after(document, "-->", at + 4);
    else if (document.startsWith("<![CDATA[", at)) {
      const end = after(document, "]]>", at + 9);
      if (top === root) throw new XmlError("there is text outside the root element");
      top.text += document.slice(at + 9, end - 3);
      at = end;
    } else if (document.startsWith("<?", at)) at = after(document, "?>", at + 2);
    else if (document.startsWith("<!", at)) throw new XmlError("a document type is not taken");
    else if (document[at + 1] === "/") {
      const end = after(document, ">", at + 2);
      const name = document.slice(at + 2, end - 1).trimEnd();
      if (top === root || name !== top.qualified) throw new XmlError(`</${name.slice(0, 40)}> closes nothing`);
      open.pop();
      (open[open.length - 1] as Open).children.push({ name: top.name, text: top.text, children: top.children });
      at = end;
    } else {
      if (++elements > ELEMENT_LIMIT) throw new XmlError(`there are more than ${ELEMENT_LIMIT} elements`);
      const { qualified, empty, end } = startTag(document, at);
      const name = qualified.slice(qualified.indexOf(":") + 1);
      if (top === root && root.children.length > 0) throw new XmlError("there is a second root element");
      if (empty) top.children.push({ name, text: "", children: [] });
      else if (open.length > DEPTH_LIMIT) throw new XmlError(`elements are nested more than ${DEPTH_LIMIT} deep`);
      else open.push({ qualified, name, text: "", children: [] });
      at = end;
    }
  }
  const [element] = root.children;
  if (open.length > 1) throw new XmlError(`<${(open[open.length - 1] as Open).qualified}> is not closed`);
  if (element === undefined) throw new XmlError("there is no element");
  return element;
}

const tagName = /[^\s<>/=!?"'&]+/y;
const attribute = /\s+[^\s<>/="']+\s*=\s*(?:"[^"<]*"|'[^'<]*')/y;
const tagEnd = /\s*(\/?)>/y;

function startTag(document: string, at: number): { qualified: string; empty: boolean; end: number } {
  tagName.lastIndex = at + 1;
  const qualified = tagName.exec(document)?.[0];
  if (qualified === undefined) throw new XmlError(`"${document.slice(at, at + 20)}" is no element`);
  let end = at + 1 + qualified.length;
  for (;;) {
    attribute.lastIndex = end;
    const found = attribute.exec(document)?.[0];
    if (found === undefined) break;
    end += found.length;
  }
  tagEnd.lastIndex = end;
  const closing = tagEnd.exec(document);
  if (closing === null) throw new XmlError(`<${qualified.slice(0, 40)}> is no element`);
  return { qualified, empty: closing[1] === "/", end: end + closing[0].length };
}

function after(document: string, mark: string, at: number): number {
  const found = document.indexOf(mark, at);
  if (found < 0) throw new XmlError(`"${mark}" is missing`);
  return found + mark.length;
}

function indexOrEnd(document: string, mark: string, at: number): number {
  const found = document.indexOf(mark, at);
  return found < 0 ? document.length : found;
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{1,8}));|&/gi, (whole, hex: string, decimal: string, name: string) => {
    const code = hex === undefined ? (decimal === undefined ? undefined : Number(decimal)) : Number.parseInt(hex, 16);
    const known = name === undefined ? undefined : entities[name];
    if (known !== undefined) return known;
    if (code === undefined || code > 0x10ffff) throw new XmlError(`${whole} is not known`);
    return String.fromCodePoint(code);
  });
}

/** The first child of this name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((one) => one.name === name);
}

/** The trimmed text of the first child of this name. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return child(element, name)?.text.trim();
}
