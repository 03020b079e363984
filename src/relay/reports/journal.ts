/**
 * What was found about mail that came in, kept for the reports of its day: a line for each message, in a file for each day (UTC).
 *
 * Rules
 * 1. Lines are written in batches and not synced: a crash may take the last second of a count, never a message.
 * 2. A day's file has a limit; what does not fit is not counted, and that is told once.
 * 3. A line that cannot be read, such as the last one before a crash, is passed over.
 */

import { createReadStream } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { CountedMessage } from "../../authentication/index.ts";
import { parseDmarcRecord } from "../../authentication/index.ts";
import { type Clock, seconds } from "../../util/clock.ts";

/** Octets of one day. */
export const JOURNAL_LIMIT = 1024 * 1024 * 1024;
const WRITE_AFTER = seconds(1);
/** Octets that wait for the disk; more are not counted. */
const BACKLOG_LIMIT = 8 * 1024 * 1024;

export interface JournalOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly onTrouble: (why: string) => void;
  /** Octets of one day; `JOURNAL_LIMIT` where absent. */
  readonly limit?: number;
}

export class ReportJournal {
  readonly #options: JournalOptions;
  readonly #limit: number;
  #day = "";
  #lines: string[] = [];
  #backlog = 0;
  #written = 0;
  #full = false;
  #stopTimer: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#limit = options.limit ?? JOURNAL_LIMIT;
  }

  add(message: CountedMessage): void {
    const day = dayOf(this.#options.clock.now());
    if (day !== this.#day) this.#turn(day);
    if (this.#full) return;
    const line = encode(message);
    if (this.#backlog + line.length > BACKLOG_LIMIT) return;
    this.#lines.push(line);
    this.#backlog += line.length;
    this.#stopTimer ??= this.#options.clock.after(WRITE_AFTER, () => void this.flush());
  }

  /** Resolves when all that was added is in its file, or could not be written and that was told. */
  flush(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const [day, text] = [this.#day, this.#lines.join("")];
    this.#lines = [];
    this.#backlog = 0;
    if (text !== "") this.#writing = this.#writing.then(() => this.#write(day, text));
    return this.#writing;
  }

  /** Days that are over and have a file, oldest first. */
  async finished(): Promise<string[]> {
    const today = dayOf(this.#options.clock.now());
    const names = await readdir(this.#options.folder).catch(() => [] as string[]);
    const days = names.flatMap((name) => /^(\d{4}-\d\d-\d\d)\.jsonl$/.exec(name)?.[1] ?? []);
    return days.filter((day) => day < today).sort();
  }

  async *read(day: string): AsyncGenerator<CountedMessage> {
    for await (const line of createInterface({ input: createReadStream(this.#path(day)), crlfDelay: Number.POSITIVE_INFINITY })) {
      const message = decode(line);
      if (message !== undefined) yield message;
    }
  }

  /** The reports of a day that were queued already, by their names. */
  async sent(day: string): Promise<ReadonlySet<string>> {
    const text = await readFile(this.#sentPath(day), "utf8").catch(() => "");
    return new Set(text.split("\n").filter((line) => line !== ""));
  }

  markSent(day: string, name: string): Promise<void> {
    return appendFile(this.#sentPath(day), `${name}\n`);
  }

  async remove(day: string): Promise<void> {
    await rm(this.#path(day), { force: true });
    await rm(this.#sentPath(day), { force: true });
  }

  #turn(day: string): void {
    void this.flush();
    this.#day = day;
    this.#full = false;
    this.#written = 0;
    this.#writing = this.#writing.then(async () => {
      this.#written = (await stat(this.#path(day)).catch(() => undefined))?.size ?? 0;
    });
  }

  async #write(day: string, text: string): Promise<void> {
    if (this.#written + text.length > this.#limit) {
      if (!this.#full) this.#options.onTrouble(`the journal of ${day} is full: no more is counted for its DMARC reports`);
      this.#full = true;
      return;
    }
    try {
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      await appendFile(this.#path(day), text, { mode: 0o600 });
      this.#written += text.length;
    } catch (error) {
      this.#options.onTrouble(`cannot write ${this.#path(day)}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #path(day: string): string {
    return join(this.#options.folder, `${day}.jsonl`);
  }

  #sentPath(day: string): string {
    return join(this.#options.folder, `${day}.sent`);
  }
}

export function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

/** A record is kept as its text. */
function encode({ dmarc, ...message }: CountedMessage): string {
  const { record, policyDomain, author, result, requested, alignments } = dmarc;
  return `${JSON.stringify({ ...message, dmarc: { record: record?.text, policyDomain, author, result, requested, alignments } })}\n`;
}

function decode(line: string): CountedMessage | undefined {
  try {
    const { dmarc, ...message } = JSON.parse(line) as Omit<CountedMessage, "dmarc"> & {
      readonly dmarc: Omit<CountedMessage["dmarc"], "record"> & { readonly record: string };
    };
    return { ...message, dmarc: { ...dmarc, record: parseDmarcRecord(dmarc.record) } };
  } catch {
    return undefined;
  }
}
