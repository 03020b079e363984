/**
 * Finds what a TypeScript file imports, without a compiler: TypeScript 7 has no API, and type stripping takes `import type` away.
 *
 * Rules
 * 1. Comments, strings, templates and regular expressions are told apart, so that none of them is taken for an import.
 * 2. Everything that names another module counts: import, import type, export from, import(), and `new URL("./x.ts", ...)`.
 */

export interface Import {
  readonly specifier: string;
  /** From 1. */
  readonly line: number;
}

export interface Scan {
  readonly imports: readonly Import[];
  /** Lines where `process.env` is read. */
  readonly environment: readonly number[];
}

interface Token {
  readonly kind: "word" | "string" | "mark";
  readonly text: string;
  readonly line: number;
}

/** What the source text imports. */
export function scanImports(source: string): Scan {
  const tokens = tokenize(source);
  const imports: Import[] = [];
  const environment: number[] = [];
  for (const [i, token] of tokens.entries()) {
    const before = (n: number): string => tokens[i - n]?.text ?? "";
    if (token.kind === "string" && tokens[i - 1]?.kind !== "string") {
      const statement = before(1) === "from" || (before(1) === "import" && before(2) !== ".");
      const dynamic = before(1) === "(" && before(2) === "import" && before(3) !== ".";
      const resolved = before(1) === "(" && before(2) === "resolve" && before(3) === "." && before(4) === "meta";
      const url = before(1) === "(" && before(2) === "URL" && /^\.{1,2}\/.*\.ts$/.test(token.text);
      if (statement || dynamic || resolved || url) imports.push({ specifier: token.text, line: token.line });
    }
    if (token.text === "env" && before(1) === "." && before(2) === "process") environment.push(token.line);
  }
  return { imports, environment };
}

/** A slash after one of these words begins a regular expression; after any other word it divides. */
const beforeRegex = new Set(["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "yield", "await"]);

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let i = 0;
  const braces: ("block" | "template")[] = [];
  const skipTo = (end: number): string => {
    const text = source.slice(i, end);
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) line++;
    i = end;
    return text;
  };
  while (i < source.length) {
    const c = source[i] as string;
    const from = line;
    if (c === "/" && source[i + 1] === "/") skipTo(indexOrEnd(source, "\n", i));
    else if (c === "/" && source[i + 1] === "*") skipTo(indexOrEnd(source, "*/", i + 2) + 2);
    else if (c === '"' || c === "'") tokens.push({ kind: "string", text: skipTo(endOfQuoted(source, i, c)).slice(1, -1), line: from });
    else if (c === "`" || (c === "}" && braces.at(-1) === "template")) {
      if (c === "}") braces.pop();
      const end = endOfTemplatePart(source, i + 1);
      if (source[end - 1] === "{") braces.push("template");
      skipTo(end);
      tokens.push({ kind: "mark", text: "`", line: from });
    } else if (c === "/" && regexMayBegin(tokens.at(-1))) {
      skipTo(endOfRegex(source, i));
      tokens.push({ kind: "mark", text: "`", line: from });
    } else if (/[\w$]/.test(c)) {
      const [word] = /^[\w$]+/.exec(source.slice(i, i + 256)) as RegExpExecArray;
      tokens.push({ kind: "word", text: word, line });
      i += word.length;
    } else {
      if (c === "{") braces.push("block");
      if (c === "}") braces.pop();
      if (/\S/.test(c)) tokens.push({ kind: "mark", text: c, line });
      skipTo(i + 1);
    }
  }
  return tokens;
}

function indexOrEnd(source: string, what: string, from: number): number {
  const at = source.indexOf(what, from);
  return at === -1 ? source.length : at;
}

function endOfQuoted(source: string, start: number, quote: string): number {
  let i = start + 1;
  while (i < source.length && source[i] !== quote) i += source[i] === "\\" ? 2 : 1;
  return i + 1;
}

/** The index after the closing backtick, or after the `${` that opens an expression. */
function endOfTemplatePart(source: string, start: number): number {
  for (let i = start; i < source.length; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === "`") return i + 1;
    else if (source[i] === "$" && source[i + 1] === "{") return i + 2;
  }
  return source.length;
}

function endOfRegex(source: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === "\n" || (c === "/" && !inClass)) return i + 1;
  }
  return source.length;
}

function regexMayBegin(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === "string" || last.text === "`") return false;
  if (last.kind === "word") return beforeRegex.has(last.text);
  return !")]}".includes(last.text);
}
