/**
 * Enforces the floors of the house (docs/architecture.md): run by `npm run layers` and in the test run.
 *
 * Rules
 * 1. A folder imports only from lower floors and from itself; never from a sibling on its floor; no files in a circle.
 * 2. What has no business with a socket, a file or the environment cannot import it.
 * 3. Tests beside the code (and the `testing.ts` they share) may also import test/, scripts/, packages and any `node:` module; the floors hold for them too.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { scanImports } from "./imports.ts";

/** What a folder may import of Node: nothing, all but these modules, or anything. */
type NodeModules = "none" | "any" | { readonly not: readonly string[] };

interface Room {
  readonly floor: number;
  readonly node: NodeModules;
  /** Whether packages of others may be imported. */
  readonly packages: boolean;
  /** Files that bind the folder to Node: what another runtime replaces. */
  readonly adapters?: readonly string[];
}

const network = ["net", "tls", "dns", "dns/promises", "dgram", "http", "http2", "https"];
const files = ["fs", "fs/promises", "sqlite"];

export const house: Readonly<Record<string, Room>> = {
  util: { floor: 0, node: "none", packages: false },
  mail: { floor: 1, node: "none", packages: false },
  protocol: { floor: 2, node: "none", packages: false },
  message: { floor: 2, node: "none", packages: false, adapters: ["src/message/dkim/crypto.ts"] },
  net: { floor: 2, node: "any", packages: true },
  database: { floor: 2, node: "any", packages: true },
  telemetry: { floor: 2, node: { not: network }, packages: true },
  client: { floor: 3, node: "none", packages: false, adapters: ["src/client/node.ts", "src/client/file-source.ts"] },
  server: { floor: 3, node: { not: [...network, ...files] }, packages: true },
  queue: { floor: 3, node: { not: network }, packages: true },
  accounts: { floor: 3, node: { not: network }, packages: true },
  authentication: { floor: 3, node: { not: [...network, ...files] }, packages: true },
  delivery: { floor: 4, node: { not: files }, packages: true },
  relay: { floor: 5, node: "any", packages: true },
  config: { floor: 6, node: "any", packages: true },
  admin: { floor: 6, node: "any", packages: true },
  inbox: { floor: 6, node: "any", packages: true },
  keys: { floor: 6, node: { not: network }, packages: false },
  cli: { floor: 7, node: "any", packages: true },
  testing: { floor: 6, node: "any", packages: true },
  nodemailer: { floor: 7, node: "any", packages: true },
};

/** The entry files directly in src/: above every floor. */
const ENTRY: Room = { floor: 8, node: "any", packages: true };

export interface Violation {
  /** Relative to the project's root. */
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Checks source texts by their path below the project's root, such as `src/mail/reply.ts`. */
export function checkLayers(sources: ReadonlyMap<string, string>): Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, { to: string; line: number }[]>();
  for (const [file, source] of sources) {
    const say = (line: number, text: string): void => void violations.push({ file, line, text });
    const folder = folderOf(file);
    const room = folder === "" ? ENTRY : house[folder];
    if (room === undefined) {
      say(1, `src/${folder}/ has no floor: give it one in scripts/layers.ts and docs/architecture.md`);
      continue;
    }
    const test = isTest(file);
    const { imports, environment } = scanImports(source);
    const edges: { to: string; line: number }[] = [];
    graph.set(file, edges);
    for (const { specifier, line } of imports) {
      if (!specifier.startsWith(".")) {
        const text = outside(specifier, folder, room, test || room.adapters?.includes(file) === true);
        if (text !== undefined) say(line, text);
        continue;
      }
      const target = posix.join(posix.dirname(file), specifier);
      const text = inside(target, sources, folder, room, test);
      if (text !== undefined) say(line, text);
      edges.push({ to: target, line });
    }
    if (!test && folder !== "config") {
      for (const line of environment) say(line, "process.env is read in config/ alone: take the value as a parameter");
    }
  }
  return [...violations, ...circles(graph)];
}

function inside(target: string, sources: ReadonlyMap<string, string>, folder: string, room: Room, test: boolean): string | undefined {
  if (!target.startsWith("src/")) return test && /^(?:test|scripts)\//.test(target) ? undefined : `${target} is outside src/`;
  if (!/\.(?:ts|json)$/.test(target)) return `write the extension: ${target}.ts`;
  if (!test && isTest(target)) return `${target} is for tests`;
  const to = folderOf(target);
  if (to === folder) return sources.has(target) || target.endsWith(".json") ? undefined : `there is no ${target}`;
  const other = to === "" ? ENTRY : house[to];
  if (other === undefined) return `src/${to}/ has no floor`;
  if (other.floor > room.floor)
    return `${folder}/ (floor ${room.floor}) may not look up to ${to || "the entry file"} (floor ${other.floor})`;
  if (other.floor === room.floor) return `${folder}/ and ${to}/ are siblings on floor ${room.floor}: what both need goes a floor lower`;
  return sources.has(target) ? undefined : `there is no ${target}`;
}

function outside(specifier: string, folder: string, room: Room, free: boolean): string | undefined {
  if (free || specifier.startsWith("#")) return undefined;
  if (!specifier.startsWith("node:")) return room.packages ? undefined : `${folder}/ imports no package (${specifier})`;
  const name = specifier.slice("node:".length);
  const { node } = room;
  const allowed = node === "any" || (node !== "none" && !node.not.includes(name));
  return allowed ? undefined : `${folder}/ may not import ${specifier}`;
}

/** Every circle is told once, at the file where it was found first. */
function circles(graph: ReadonlyMap<string, readonly { to: string; line: number }[]>): Violation[] {
  const found: Violation[] = [];
  const state = new Map<string, "open" | "done">();
  const path: string[] = [];
  const visit = (file: string): void => {
    state.set(file, "open");
    path.push(file);
    for (const { to, line } of graph.get(file) ?? []) {
      if (state.get(to) === "open") found.push({ file, line, text: `a circle: ${[...path.slice(path.indexOf(to)), to].join(" -> ")}` });
      else if (!state.has(to) && graph.has(to)) visit(to);
    }
    path.pop();
    state.set(file, "done");
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return found;
}

/** `x.test.ts`, and the `testing.ts` of a folder: what its tests share. */
function isTest(file: string): boolean {
  return file.endsWith(".test.ts") || /^src\/[^/]+\/(?:.*\/)?testing\.ts$/.test(file);
}

function folderOf(file: string): string {
  const parts = file.split("/");
  return parts.length > 2 ? (parts[1] as string) : "";
}

/** All TypeScript below src/, by path from the root. */
export function readSources(root: string): Map<string, string> {
  const sources = new Map<string, string>();
  for (const entry of readdirSync(`${root}/src`, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    sources.set(relative(root, path).split(sep).join("/"), readFileSync(path, "utf8"));
  }
  return new Map([...sources].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function projectRoot(): string {
  return fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");
}

if (import.meta.main) {
  const sources = readSources(projectRoot());
  const violations = checkLayers(sources);
  for (const { file, line, text } of violations) console.error(`${file}:${line}: ${text}`);
  if (violations.length === 0) console.log(`layers: ${sources.size} files keep to their floors`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
