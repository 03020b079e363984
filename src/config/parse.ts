/**
 * From the text of the file to the tables of the schema, with every problem on the way.
 *
 * Rules
 * 1. Each key is read by itself, so that one bad value hides no other.
 * 2. Nothing is guessed: a key that is bad is absent from the result.
 */
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { type ConfigProblem, describeValue, keyText, suggestKey } from "./problem.ts";
import { type General, general, type Lists, lists, type Tables, tables } from "./schema.ts";
import { type KeyLines, keyLines, lineOf } from "./toml-lines.ts";

/** What could be read. Keys that had problems are absent, whatever the schema says. */
export interface ReadTables {
  readonly general: Partial<General>;
  readonly tables: { readonly [K in keyof Tables]: Partial<Tables[K]> };
  /** `undefined` where the key as a whole is no list of tables. */
  readonly lists: { readonly [K in keyof Lists]: readonly Partial<Lists[K]>[] | undefined };
  /** Tables that the file has. */
  readonly present: ReadonlySet<string>;
}

/** Collects problems and knows their lines. */
export class Problems {
  readonly all: ConfigProblem[] = [];
  readonly #lines: KeyLines;

  constructor(lines: KeyLines) {
    this.#lines = lines;
  }

  value(key: string, expected: string, value: unknown): void {
    this.all.push({ kind: "value", ...this.#at(key), expected, got: describeValue(value) });
  }

  unknown(key: string): void {
    const suggestion = suggestKey(key, knownKeys());
    this.all.push({ kind: "unknown-key", ...this.#at(key), ...(suggestion === undefined ? {} : { suggestion }) });
  }

  conflict(key: string, text: string): void {
    this.all.push({ kind: "conflict", ...this.#at(key), text });
  }

  #at(key: string): { key: string; line?: number } {
    const line = lineOf(this.#lines, key);
    return line === undefined ? { key } : { key, line };
  }
}

/** A syntax error is the only problem there is then: nothing else can be known. */
export function readText(text: string): { read: ReadTables; problems: Problems } | { syntax: ConfigProblem } {
  let raw: Record<string, unknown>;
  try {
    raw = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = (error.message.split("\n")[0] as string).replace("Invalid TOML document: ", "");
    return { syntax: { kind: "syntax", key: "", line: error.line, column: error.column, text: `syntax error: ${what}` } };
  }
  const problems = new Problems(keyLines(text));
  const mine = Object.entries(raw).filter(([key]) => !Object.hasOwn(tables, key) && !parents.has(key) && !Object.hasOwn(lists, key));
  for (const parent of parents) checkParent(parent, raw[parent], problems);
  const read: ReadTables = {
    general: readTable(general, Object.fromEntries(mine), [], problems),
    tables: Object.fromEntries(
      Object.entries(tables).map(([name, schema]) => [
        name,
        readTable(schema as z.ZodObject, tableNamed(raw, name) ?? {}, name.split("."), problems),
      ]),
    ) as ReadTables["tables"],
    lists: Object.fromEntries(
      Object.entries(lists).map(([name, schema]) => [name, readList(name, schema, raw[name], problems)]),
    ) as ReadTables["lists"],
    present: new Set([...Object.keys(raw), ...Object.keys(tables).filter((name) => tableNamed(raw, name) !== undefined)]),
  };
  return { read, problems };
}

/** Tables that only hold others: `accounts` of `accounts.oauth`. */
const parents: ReadonlySet<string> = new Set(
  Object.keys(tables).flatMap((name) => (name.includes(".") ? [name.split(".", 1)[0] as string] : [])),
);

function checkParent(parent: string, raw: unknown, problems: Problems): void {
  if (raw === undefined) return;
  if (!isTable(raw)) return problems.value(parent, "a table", raw);
  for (const key of Object.keys(raw)) if (!Object.hasOwn(tables, `${parent}.${key}`)) problems.unknown(keyText([parent, key]));
}

function tableNamed(raw: Record<string, unknown>, name: string): unknown {
  const [first = "", second] = name.split(".");
  const outer = Object.hasOwn(raw, first) ? raw[first] : undefined;
  if (second === undefined) return outer;
  return isTable(outer) && Object.hasOwn(outer, second) ? outer[second] : undefined;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function readList(name: string, schema: z.ZodObject, raw: unknown, problems: Problems): readonly Record<string, unknown>[] | undefined {
  if (raw === undefined) return [];
  if (Array.isArray(raw)) return raw.map((element, i) => readTable(schema, element, [name, i], problems));
  problems.value(name, `tables that begin with [[${name}]]`, raw);
  return undefined;
}

function readTable<S extends z.ZodObject>(schema: S, raw: unknown, path: readonly PropertyKey[], problems: Problems): Partial<z.output<S>> {
  const result: Record<string, unknown> = {};
  if (!isTable(raw)) {
    problems.value(keyText(path), "a table", raw);
    return result as Partial<z.output<S>>;
  }
  const values = raw;
  for (const key of Object.keys(values)) if (!Object.hasOwn(schema.shape, key)) problems.unknown(keyText([...path, key]));
  for (const [key, field] of Object.entries(schema.shape)) {
    const value = Object.hasOwn(values, key) ? values[key] : undefined;
    const parsed = (field as z.ZodType).safeParse(value);
    if (parsed.success) {
      if (parsed.data !== undefined) result[key] = parsed.data;
      continue;
    }
    for (const issue of parsed.error.issues) {
      const expected = issue.code === "custom" ? issue.message : expectedOf(field as z.ZodType);
      problems.value(keyText([...path, key, ...issue.path]), expected, valueAt(value, issue.path));
    }
  }
  return result as Partial<z.output<S>>;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const part of path) at = (at as Record<PropertyKey, unknown> | undefined)?.[part];
  return at;
}

/** The schema below `optional` and `prefault`. */
export function innerSchema(schema: z.ZodType): z.ZodType {
  const { def } = schema as z.ZodType & { def: { type: string; innerType?: z.ZodType } };
  return (def.type === "optional" || def.type === "prefault") && def.innerType !== undefined ? innerSchema(def.innerType) : schema;
}

/** What a schema expects, in words. */
export function expectedOf(schema: z.ZodType): string {
  const { expected } = innerSchema(schema).meta() ?? {};
  return typeof expected === "string" ? expected : "another value";
}

let known: readonly string[] | undefined;

/** Every key with its table, and the tables. */
function knownKeys(): readonly string[] {
  known ??= [
    ...Object.keys(general.shape),
    ...Object.entries(tables).flatMap(([name, schema]) => [name, ...Object.keys(schema.shape).map((key) => `${name}.${key}`)]),
    ...Object.entries(lists).flatMap(([name, schema]) => [name, ...Object.keys(schema.shape).map((key) => `${name}.${key}`)]),
  ];
  return known;
}
