/**
 * `npm run bench -- [P1 … P5] [--count N] [--runs N] [--only NAME,...] [--against CHECKOUT] [--json FILE] [--folder FOLDER]`
 *
 * Measures Postrider beside its peers and prints one table (docs/performance.md says what of, and how to read it).
 *
 * Rules
 * 1. Figures are compared only within one run of this command: the contenders take turns, and the medians are compared.
 * 2. A peer that is not here is skipped and named.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { composers } from "./compose.ts";
import { accepting, endToEnd, type Figure, type Run, type Setting } from "./measure.ts";
import { attachments, clients } from "./sending.ts";
import { haraka } from "./servers/haraka.ts";
import { postfix } from "./servers/postfix.ts";
import { postrider } from "./servers/postrider.ts";
import { type Contender, isMissing, type Missing } from "./servers/server.ts";
import { smtpServer } from "./servers/smtp-server.ts";
import { findPostfix, type PostfixFiles } from "./tools.ts";

interface Benchmark {
  readonly title: string;
  /** Ours first. */
  readonly contenders: (files: PostfixFiles | undefined) => (Run | Missing)[];
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  P1: { title: "durable accept on 25", contenders: (files) => servers([postfix(files), haraka()], accepting) },
  P2: { title: "end to end, until smtp-sink has all", contenders: (files) => servers([postfix(files), haraka()], endToEnd) },
  P3: { title: "durable accept against discarding without a disk", contenders: () => servers([smtpServer()], accepting) },
  P4: { title: "client: composed text and HTML of 10 KB, a pool of 16, to smtp-sink", contenders: () => clients("P4") },
  P5: { title: "client: raw, 10 KB, a pool of 16, to smtp-sink", contenders: () => clients("P5") },
  "1GB": { title: "client: one attachment of 1 GB out of a file; see its memory", contenders: () => attachments() },
  P10: { title: "composing alone: text, HTML and 1 MB attached", contenders: () => composers("1MB") },
  "P10-10KB": { title: "composing alone: text and HTML of 10 KB", contenders: () => composers("10KB") },
};

interface Row {
  readonly benchmark: string;
  readonly name: string;
  readonly version: string;
  readonly messages: number;
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  readonly memory: number;
  readonly cpu: number;
  /** Postrider's median by this one's. */
  readonly ratio: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "20000" },
    runs: { type: "string", default: "5" },
    only: { type: "string" },
    against: { type: "string" },
    json: { type: "string" },
    folder: { type: "string", default: tmpdir() },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const names = positionals.length > 0 ? positionals.map((name) => name.toUpperCase()) : Object.keys(benchmarks);
  const unknown = names.find((name) => benchmarks[name] === undefined);
  if (unknown !== undefined) return fail(`there is no benchmark ${unknown}: ${Object.keys(benchmarks).join(", ")}.`, 64);
  const [count, runs] = [Number(values.count), Number(values.runs)];
  if (!(count >= 100 && count <= 1_000_000 && runs >= 1 && runs <= 100)) return fail("--count is 100 to 1000000, --runs 1 to 100.", 64);
  const files = findPostfix();
  if (files === undefined) return fail("smtp-source is missing: install postfix, or set POSTRIDER_DEBS (see docs/performance.md).", 69);
  const folder = mkdtempSync(join(values.folder, "postrider-bench-"));
  chmodSync(folder, 0o755);
  try {
    console.log(machine());
    const rows: Row[] = [];
    for (const name of names) rows.push(...(await compare(name, { files, folder, count }, runs)));
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine: machine(), runs, rows }, undefined, 2)}\n`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(name: string, setting: Setting, runs: number): Promise<Row[]> {
  const { title, contenders: all } = benchmarks[name] as Benchmark;
  const contenders = wanted(all(setting.files));
  const figures = contenders.map((): Figure[] => []);
  const failed = new Set<Run>();
  for (let run = 0; run < runs; run++) {
    for (const [i, contender] of contenders.entries()) {
      if (failed.has(contender)) continue;
      try {
        figures[i]?.push(await contender.measure(setting));
      } catch (error) {
        failed.add(contender);
        console.log(`left out: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  const medians = figures.map((each) => median(each.map(({ rate }) => rate)));
  console.log(`\n${name}  ${title}; medians of ${runs}, load now ${loadavg()[0]?.toFixed(1)}`);
  console.log(line(["", "messages/s", "lowest", "highest", "CPU", "memory", "messages", " Postrider is"]));
  return contenders.flatMap((contender, i) => {
    if (failed.has(contender)) return [];
    const rates = figures[i]?.map(({ rate }) => rate) ?? [];
    const row: Row = {
      benchmark: name,
      name: contender.name,
      version: contender.version,
      messages: Math.ceil(setting.count * contender.share),
      median: Math.round(medians[i] as number),
      lowest: Math.round(Math.min(...rates)),
      highest: Math.round(Math.max(...rates)),
      memory: median(figures[i]?.map(({ memory }) => memory) ?? []),
      cpu: Math.round(median(figures[i]?.map(({ cpu }) => cpu) ?? [])),
      ratio: (medians[0] as number) / (medians[i] as number),
    };
    console.log(
      line([
        `${row.name} ${row.version}`,
        row.median,
        row.lowest,
        row.highest,
        `${row.cpu} us`,
        `${row.memory} MB`,
        row.messages,
        `${row.ratio.toFixed(2)} x`,
      ]),
    );
    return [row];
  });
}

/** Postrider, the checkout of --against, and peers, each started and loaded by `measure`. */
function servers(
  peers: readonly (Contender | Missing)[],
  measure: (contender: Contender, setting: Setting) => Promise<Figure>,
): (Run | Missing)[] {
  const against = values.against === undefined ? [] : [postrider(values.against, "Postrider of --against")];
  const all = [postrider(fileURLToPath(new URL("..", import.meta.url))), ...against, ...peers];
  return all.map((each) =>
    isMissing(each)
      ? each
      : { name: each.name, version: each.version, share: each.share, measure: (setting: Setting) => measure(each, setting) },
  );
}

/** Ours, then those that are here and asked for. */
function wanted(all: readonly (Run | Missing)[]): Run[] {
  const names = values.only?.toLowerCase().split(",");
  const runs: Run[] = [];
  for (const each of all) {
    if (names !== undefined && !each.name.startsWith("Postrider") && !names.includes(each.name.toLowerCase())) continue;
    if (isMissing(each)) console.log(`skipped: ${each.name}: ${each.why}`);
    else runs.push(each);
  }
  return runs;
}

function machine(): string {
  const commit = (() => {
    try {
      return execFileSync("git", ["rev-parse", "--short", "HEAD"], { stdio: ["ignore", "pipe", "ignore"] })
        .toString()
        .trim();
    } catch {
      return "no git";
    }
  })();
  const load = loadavg().map((each) => each.toFixed(1));
  const memory = Math.round(totalmem() / 2 ** 30);
  return `Node ${process.versions.node}, SQLite ${process.versions.sqlite}, Linux ${release()}, ${availableParallelism()} cores of ${cpus()[0]?.model ?? "?"}, ${memory} GB, load ${load.join(" ")}, commit ${commit}`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function line(cells: readonly (string | number)[]): string {
  return cells.map((cell, i) => (i === 0 ? String(cell).padEnd(26) : String(cell).padStart(13))).join("");
}

function fail(text: string, code: number): number {
  console.error(`bench: ${text}`);
  return code;
}
