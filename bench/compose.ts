/**
 * Composing alone: text and HTML of 10 KB, with and without an attachment of 1 MB, beside Nodemailer's composer (P10).
 *
 * `node bench/compose.ts [--runs N]` prints a table by itself, and the memory that a streamed attachment of 1 GB takes.
 *
 * Rules
 * 1. Each run is a process of its own: it warms up with a quarter of the messages, then composes and reads every octet of each message.
 * 2. Contenders take turns, and the medians are compared.
 * 3. Both get the same texts, the same attachment in memory and the same addresses; both make base64 in lines.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { compose, readDraftContent } from "../src/message/index.ts";
import type { Figure, Run } from "./measure.ts";

type Case = "10KB" | "1MB";
const LIMIT = 120_000;
const file = fileURLToPath(import.meta.url);
const line = "The quick brown fox jumps over the lazy dog, and then it has some more words to say.\n";
const text = line.repeat(30);
const html = `<html><body>\n${`<p>${line}</p>\n`.repeat(80)}</body></html>\n`;
const mail = { from: "Ann <ann@here.test>", to: "Bob <bob@far.test>, carol@far.test", subject: "The figures of this week" };

interface Program {
  readonly name: string;
  readonly version: string;
  /** How many of the messages it gets: a slow one gets fewer. */
  readonly share: number;
}

function programs(which: Case): Program[] {
  const version = (path: string) => (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
  const share = which === "1MB" ? 0.05 : 1;
  return [
    { name: "Postrider", version: version(fileURLToPath(new URL("../package.json", import.meta.url))), share },
    { name: "Nodemailer", version: version(createRequire(import.meta.url).resolve("nodemailer/package.json")), share: share / 4 },
  ];
}

/** Ours and Nodemailer's, for `npm run bench -- P10`. */
export function composers(which: Case): Run[] {
  return programs(which).map((program) => ({ ...program, measure: ({ count }) => measure(program, which, count) }));
}

const measure = ({ name, share }: Program, which: Case, count: number) => inProcess([name, which, String(Math.ceil(count * share))]);

async function inProcess(args: readonly string[]): Promise<Figure> {
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], { timeout: LIMIT });
  return JSON.parse(stdout) as Figure;
}

/** Composes and reads one message; its octets. */
type Composer = (i: number) => Promise<number>;

function postrider(attachment: Uint8Array | undefined): Composer {
  const attachments = attachment === undefined ? [] : [{ filename: "figures.pdf", content: attachment }];
  return async (i) => {
    const { content } = compose(
      { ...mail, text, html, attachments },
      { now: 1e12 + i, messageId: `${i}@here.test`, boundary: `0123456789${i}` },
    );
    let size = 0;
    for await (const chunk of readDraftContent(content)) size += chunk.length;
    return size;
  };
}

async function nodemailer(attachment: Uint8Array | undefined): Promise<Composer> {
  const { default: MailComposer } = await import("nodemailer/lib/mail-composer");
  const attachments = attachment === undefined ? [] : [{ filename: "figures.pdf", content: Buffer.from(attachment) }];
  return async (i) => {
    const message = new MailComposer({
      ...mail,
      text,
      html,
      attachments,
      date: new Date(1e12 + i),
      messageId: `<${i}@here.test>`,
    }).compile();
    let size = 0;
    for await (const chunk of message.createReadStream()) size += (chunk as Uint8Array).length;
    return size;
  };
}

async function work(name: string, which: Case, count: number): Promise<void> {
  const attachment = which === "1MB" ? Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7919 + (i >> 8)) & 255) : undefined;
  const composer = name === "Postrider" ? postrider(attachment) : await nodemailer(attachment);
  for (let i = 0; i < count / 4; i++) await composer(i);
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) least = Math.min(least, await composer(i));
  const took = performance.now() - begun;
  if (least < text.length + html.length + (attachment?.length ?? 0)) throw new Error(`a message of ${least} octets`);
  const { user, system } = process.cpuUsage(cpu);
  const figure: Figure = {
    rate: (count / took) * 1000,
    memory: Math.round(process.memoryUsage.rss() / 2 ** 20),
    cpu: (user + system) / count,
  };
  console.log(JSON.stringify(figure));
}

/** An attachment of so many octets that comes in chunks of 64 KB. */
async function streamed(size: number): Promise<void> {
  const chunk = new Uint8Array(64 * 1024).fill(7);
  const source = {
    size,
    *open() {
      for (let left = size; left > 0; left -= chunk.length) yield left < chunk.length ? chunk.subarray(0, left) : chunk;
    },
  };
  const { content, facts } = compose(
    { ...mail, text, attachments: [{ filename: "large.bin", content: source }] },
    { now: 0, messageId: "1@here.test", boundary: "0123456789" },
  );
  const begun = performance.now();
  let read = 0;
  let memory = 0;
  for await (const each of readDraftContent(content)) {
    read += each.length;
    if ((read & 0xff) === 0) memory = Math.max(memory, process.memoryUsage.rss());
  }
  if (read !== facts.size) throw new Error(`${read} octets of ${facts.size}`);
  const figure: Figure = {
    rate: read / 2 ** 20 / ((performance.now() - begun) / 1000),
    memory: Math.round(Math.max(memory, process.resourceUsage().maxRSS * 1024) / 2 ** 20),
    cpu: 0,
  };
  console.log(JSON.stringify(figure));
}

/** Messages of a run; a program gets its share of them. */
const COUNT = 8000;

async function table(runs: number): Promise<void> {
  const row = (first: string, rest: readonly (string | number)[]) =>
    console.log(first.padEnd(24) + rest.map((cell) => String(cell).padStart(16)).join(""));
  for (const which of ["10KB", "1MB"] as const) {
    const contenders = programs(which);
    const figures = contenders.map((): Figure[] => []);
    for (let run = 0; run < runs; run++) {
      for (const [i, program] of contenders.entries()) figures[i]?.push(await measure(program, which, COUNT));
    }
    console.log(`\ncomposing, ${which}; medians of ${runs}`);
    row("", ["messages/s", "us a message", "CPU us", "memory MB", "Postrider is"]);
    const medians = figures.map((each) => [...each].sort((a, b) => a.rate - b.rate)[each.length >> 1] as Figure);
    for (const [i, { rate, cpu, memory }] of medians.entries()) {
      const ratio = `${((medians[0] as Figure).rate / rate).toFixed(2)} x`;
      row(`${contenders[i]?.name} ${contenders[i]?.version}`, [Math.round(rate), (1e6 / rate).toFixed(1), Math.round(cpu), memory, ratio]);
    }
  }
  const { rate, memory } = await inProcess(["stream", "1MB", String(2 ** 30)]);
  console.log(`\nan attachment of 1 GB as a stream: ${Math.round(rate)} MB/s, ${memory} MB of RSS at most`);
}

if (process.argv[1] === file) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { runs: { type: "string", default: "5" } } });
  const [name, which, count] = positionals;
  if (name === undefined) await table(Number(values.runs));
  else if (name === "stream") await streamed(Number(count));
  else await work(name, which === "1MB" ? "1MB" : "10KB", Number(count));
}
