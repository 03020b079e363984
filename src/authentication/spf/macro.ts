/**
 * The macro language of SPF records (RFC 7208 7): parsed once, expanded for each message.
 *
 * Rules
 * 1. Syntax is checked on the record as written, never on what a macro expands to (7.1, and the test suite).
 * 2. The letters c, r and t belong to explanations (7.2); where they are not allowed they are a syntax error.
 * 3. Linear in the length of the text.
 */

export type MacroLetter = "s" | "l" | "o" | "d" | "i" | "p" | "v" | "h" | "c" | "r" | "t";

export type MacroPiece =
  | { readonly kind: "literal"; readonly text: string }
  /** `%%`, `%_` and `%-`. */
  | { readonly kind: "fixed"; readonly text: string }
  | {
      readonly kind: "macro";
      readonly letter: MacroLetter;
      /** Right-hand parts to keep; 0 keeps all. */
      readonly parts: number;
      readonly reverse: boolean;
      /** "" is ".". */
      readonly delimiters: string;
      /** The letter was a capital: what comes out is URL-escaped. */
      readonly escape: boolean;
    };

export type MacroString = readonly MacroPiece[];

export interface MacroSyntax {
  /** Lets c, r and t stand (7.2). */
  readonly explanationLetters: boolean;
  /** Lets spaces stand: the text of an explanation (6.2). */
  readonly spaces: boolean;
}

const macro = /%(?:([%_-])|\{([slodipvhcrt])(\d*)(r?)([.\-+,/_=]*)\})/iy;

/** The pieces, or a sentence about the first thing that is wrong. */
export function parseMacroString(text: string, syntax: MacroSyntax): MacroString | string {
  const pieces: MacroPiece[] = [];
  let from = 0;
  const literal = (to: number): void => {
    if (to > from) pieces.push({ kind: "literal", text: text.slice(from, to) });
  };
  for (let i = 0; i < text.length; ) {
    const c = text.charCodeAt(i);
    if (c !== 37) {
      if (c < 33 || c > 126) {
        if (c > 127) return "it holds characters outside ASCII";
        if (c !== 32 || !syntax.spaces) return `it holds the character ${JSON.stringify(text[i])}`;
      }
      i++;
      continue;
    }
    macro.lastIndex = i;
    const match = macro.exec(text);
    if (match === null) return `"${text.slice(i, i + 8)}" is no macro (a percent sign itself is written %%)`;
    literal(i);
    const [whole, sign, letter = "", digits = "", reverse = "", delimiters = ""] = match;
    if (sign !== undefined) pieces.push({ kind: "fixed", text: sign === "%" ? "%" : sign === "_" ? " " : "%20" });
    else {
      const lower = letter.toLowerCase() as MacroLetter;
      if (!syntax.explanationLetters && (lower === "c" || lower === "r" || lower === "t")) {
        return `the macro ${whole} may stand in the text of an explanation only`;
      }
      if (digits !== "" && !/[1-9]/.test(digits)) return `the macro ${whole} keeps no part at all`;
      pieces.push({
        kind: "macro",
        letter: lower,
        parts: Math.min(Number(digits), 128),
        reverse: reverse !== "",
        delimiters,
        escape: letter !== lower,
      });
    }
    i += whole.length;
    from = i;
  }
  literal(text.length);
  return pieces;
}

/** domain-end of 7.1: a dot and a top label that is not all digits, and perhaps a last dot. Parted by hand: one pattern for all would backtrack. */
function endsInTopLabel(text: string): boolean {
  const end = text.endsWith(".") ? text.length - 1 : text.length;
  const dot = text.lastIndexOf(".", end - 1);
  if (dot < 0 || end === 0) return false;
  const label = text.slice(dot + 1, end);
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label) && /[^0-9]/.test(label);
}

/** A domain-spec (7.1), or what is wrong with it. */
export function parseDomainSpec(text: string): MacroString | string {
  if (text === "") return "the domain is empty";
  const pieces = parseMacroString(text, { explanationLetters: false, spaces: false });
  if (typeof pieces === "string") return pieces;
  const last = pieces.at(-1);
  if (last?.kind !== "literal" || endsInTopLabel(last.text)) return pieces;
  if (/^\d+(?:\.\d+){3}$/.test(text)) return `${text} is an IP address, not a domain: write ip4:${text}`;
  return `"${text}" is no domain name of two labels or more`;
}

/** What a letter stands for; asked only for letters that occur. */
export type MacroValues = (letter: MacroLetter) => string | Promise<string>;

export async function expandMacros(pieces: MacroString, values: MacroValues): Promise<string> {
  let text = "";
  for (const piece of pieces) {
    if (piece.kind !== "macro") text += piece.text;
    else {
      const value = transform(await values(piece.letter), piece);
      text += piece.escape ? urlEscape(value) : value;
    }
  }
  return text;
}

function transform(value: string, piece: MacroPiece & { readonly kind: "macro" }): string {
  if (piece.parts === 0 && !piece.reverse && piece.delimiters === "") return value;
  const delimiters = piece.delimiters === "" ? "." : piece.delimiters;
  const parts: string[] = [];
  let from = 0;
  for (let i = 0; i <= value.length; i++) {
    if (i < value.length && !delimiters.includes(value[i] as string)) continue;
    parts.push(value.slice(from, i));
    from = i + 1;
  }
  if (piece.reverse) parts.reverse();
  return (piece.parts === 0 ? parts : parts.slice(-piece.parts)).join(".");
}

/** RFC 7208 7.3: all but the unreserved characters of RFC 3986. */
function urlEscape(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** RFC 7208 7.3: a name that is too long for DNS loses labels on its left. */
const NAME_LENGTH_LIMIT = 253;

/** The expansion as a name to ask for: no final dot, at most 253 characters. */
export async function expandDomain(pieces: MacroString, values: MacroValues): Promise<string> {
  const expanded = await expandMacros(pieces, values);
  const name = expanded.endsWith(".") ? expanded.slice(0, -1) : expanded;
  if (name.length <= NAME_LENGTH_LIMIT) return name;
  const dot = name.indexOf(".", name.length - NAME_LENGTH_LIMIT - 1);
  return dot < 0 ? "" : name.slice(dot + 1);
}
