/**
 * One round: the server under load is killed, started again, and everything is counted.
 *
 * Rules
 * 1. Lost: the client read all of its 250, and after the restart it has not come to the next hop, whole, and the queue is empty.
 * 2. Twice, explained: the next hop had it, and its 250 was not read yet, or what it meant could not be synced yet. How long that may take
 *    is counted in syncs, not in time.
 */
import { exitCodes } from "../../src/cli/exit-codes.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { handOvers } from "./hand-overs.ts";
import { type JournalRecord, readJournal } from "./journal.ts";
import { type LoadResult, runLoad } from "./load.ts";
import type { CrashPoint } from "./points.ts";
import type { Random } from "./random.ts";
import type { Recorder } from "./recorder.ts";
import type { Stage, Victim } from "./victim.ts";

export interface RoundResult {
  readonly tried: number;
  readonly accepted: number;
  readonly lost: readonly string[];
  readonly damaged: readonly string[];
  /** Came more than once. */
  readonly twice: readonly string[];
  /** Those of them for which nothing explains it. */
  readonly unexplained: readonly string[];
  /** Milliseconds from the start after the kill until the server was ready. */
  readonly restart: number;
}

const CONNECTIONS = 12;
/** More than any point needs to be reached. */
const MESSAGES = 6000;
/** Milliseconds for all that is queued to be delivered after the restart. */
const DRAIN_LIMIT = 60_000;

export class Rounds {
  readonly #stage: Stage;
  readonly #recorder: Recorder;
  readonly #random: Random;
  readonly #t: Cleanup;
  #victim: Victim | undefined;
  #count = 0;

  constructor(t: Cleanup, stage: Stage, recorder: Recorder, random: Random) {
    this.#t = t;
    this.#stage = stage;
    this.#recorder = recorder;
    this.#random = random;
  }

  async run(point: CrashPoint): Promise<RoundResult> {
    const prefix = `r${++this.#count}`;
    const recorder = this.#recorder;
    const damagedBefore = recorder.damaged.length;
    recorder.silent = false;
    const victim = this.#victim ?? (await this.#stage.start(this.#t));
    recorder.silent = point.silent;
    const load = await this.#killed(victim, point, prefix);
    await recorder.quiet();
    const records = readJournal(this.#stage.journal);
    if (point.fails === true) mustNotTryAgain(records, point.title);
    recorder.silent = false;
    const next = await this.#stage.start(this.#t);
    this.#victim = next;
    const all = await recorder.has(load.accepted, DRAIN_LIMIT);
    if (all && !(await this.#stage.drained(DRAIN_LIMIT))) throw new Error(`${point.title}: the queue did not become empty:\n${next.text}`);
    const twice = load.tried.filter((id) => (recorder.arrived.get(id) ?? 0) > 1);
    const explained = new Set(
      handOvers(records)
        .filter(({ settled }) => !settled)
        .map(({ id }) => id),
    );
    return {
      tried: load.tried.length,
      accepted: load.accepted.length,
      lost: load.accepted.filter((id) => !recorder.arrived.has(id)),
      damaged: recorder.damaged.slice(damagedBefore),
      twice,
      unexplained: twice.filter((id) => recorder.arrived.get(id) !== 2 || !explained.has(id)),
      restart: next.startTook,
    };
  }

  async end(): Promise<void> {
    await this.#victim?.end("SIGTERM");
  }

  /** Loads it until it is dead. */
  async #killed(victim: Victim, { point, upTo, title, fails = false }: CrashPoint, prefix: string): Promise<LoadResult> {
    const nth = this.#random.whole(1, upTo);
    const delay = this.#random.next() * 15;
    if (point !== undefined) this.#stage.arm(point, nth);
    const load = await runLoad({
      port: victim.port,
      connections: CONNECTIONS,
      messages: MESSAGES,
      prefix,
      onAccepted: (count) => {
        if (point === undefined && count === nth) setTimeout(() => victim.child.kill("SIGKILL"), delay);
      },
    });
    if (load.tried.length === MESSAGES) throw new Error(`${title}: the point was not reached`);
    const { signal, code } = await victim.within(victim.ended, "end");
    if (fails ? code !== exitCodes.software : signal !== "SIGKILL") {
      throw new Error(`${title}: it ended with ${signal ?? code}:\n${victim.text}`);
    }
    if (fails && load.refusals.length === 0) throw new Error(`${title}: no client heard 421`);
    const wrong = load.refusals.find((refusal) => !fails || !refusal.startsWith("421"));
    if (wrong !== undefined) throw new Error(`${title}: a client heard ${wrong}`);
    return load;
  }
}

/** After a sync that failed none of the same file is begun: it would come back well, and have written nothing. */
function mustNotTryAgain(records: readonly JournalRecord[], title: string): void {
  const failed = records.findIndex(({ op, result }) => op === "sync-end" && result !== 0);
  if (failed < 0) throw new Error(`${title}: no sync failed`);
  const again = records.slice(failed).some(({ op, ino }) => op === "sync-begin" && ino === records[failed]?.ino);
  if (again) throw new Error(`${title}: the sync was tried again`);
}
