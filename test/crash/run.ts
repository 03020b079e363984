/**
 * The crash suite: `npm run test:crash -- [--rounds n] [--moments n] [--seed n] [--seconds n] [--only words] [--write]`.
 *
 * Prints a table of what was lost (nothing) and what came twice, and ends with 1 where a message was lost, or came twice without an
 * explanation. `--rounds` is for each kind of kill, `--moments` for each kind of power loss; `--seed` repeats the choice of both; `--write`
 * puts the table into docs/durability.md. After `--seconds` no more rounds are begun but the first of each kind.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Cleanup } from "../support/temp-folder.ts";
import type { Fate } from "./disk.ts";
import { type JournalRecord, kindOf } from "./journal.ts";
import { checkOrder } from "./order.ts";
import { crashPoints } from "./points.ts";
import { losePower, type PowerReport } from "./power.ts";
import { Random } from "./random.ts";
import { Recorder } from "./recorder.ts";
import { record } from "./recording.ts";
import { Report } from "./report.ts";
import { type RoundResult, Rounds } from "./round.ts";
import { skipWithoutShim } from "./shim.ts";
import { Stage } from "./victim.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    moments: { type: "string", default: "40" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    seconds: { type: "string", default: "36000" },
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});

const begun = Date.now();
/** `share` of the time that there is has passed. */
const isLate = (share: number): boolean => Date.now() > begun + Number(values.seconds) * 1000 * share;
/** Of the time, for kills; the rest is for power losses. */
const FOR_KILLS = 0.65;
const FEWEST_MOMENTS = 3;
/** Messages of a run that a power loss ends: enough for a checkpoint. */
const RECORDED = 400;
const fates: readonly (readonly [title: string, fate: (random: Random) => Fate])[] = [
  ["power loss: nothing that was not synced is there", () => ({ kind: "forgotten" })],
  ["power loss: some of it is there, in blocks of 512 octets", (random) => ({ kind: "some", random, block: 512 })],
  ["power loss: some of it is there, in blocks of 4096 octets", (random) => ({ kind: "some", random, block: 4096 })],
];

const callbacks: (() => void | Promise<void>)[] = [];
const cleanup: Cleanup = { after: (callback) => void callbacks.push(callback) };

async function kill(report: Report, folder: string, recorder: Recorder): Promise<void> {
  const rounds = new Rounds(cleanup, new Stage(join(folder, "rounds"), recorder.port), recorder, new Random(Number(values.seed)));
  const points = crashPoints.filter(({ title }) => title.includes(values.only));
  const results = points.map((): RoundResult[] => []);
  for (let i = 0; i < Number(values.rounds); i++) {
    for (const [at, point] of points.entries()) {
      if (i > 0 && isLate(FOR_KILLS)) break;
      const result = await rounds.run(point);
      results[at]?.push(result);
      console.error(`${point.title}: ${result.accepted} acknowledged, ${result.lost.length} lost, ${result.twice.length} twice`);
    }
  }
  for (const [at, { title }] of points.entries()) report.addRounds(title, results[at] ?? []);
  await rounds.end();
}

async function cutPower(report: Report, folder: string, recorder: Recorder): Promise<void> {
  const wanted = fates.filter(([title]) => title.includes(values.only));
  if (wanted.length === 0) return;
  const random = new Random(Number(values.seed));
  const recordings = [
    await record(cleanup, recorder, { folder, messages: RECORDED, silent: true }),
    await record(cleanup, recorder, { folder, messages: RECORDED, silent: false }),
  ];
  for (const { records } of recordings) report.addOrder(checkOrder(records));
  if (!recordings.some(({ records }) => hasCheckpoint(records)))
    throw new Error("no checkpoint was made in the runs that a power loss ends");
  for (const [title, fate] of wanted) {
    const reports: PowerReport[] = [];
    const moments = isLate(1) ? FEWEST_MOMENTS : Math.ceil(Number(values.moments) / recordings.length);
    for (const recording of recordings) reports.push(await losePower({ ...recording, moments, random, fate }));
    report.addPower(title, reports);
    console.error(title);
  }
}

/** A second sync of the database's file; the first is its making. */
function hasCheckpoint(records: readonly JournalRecord[]): boolean {
  return records.filter((record) => record.op === "sync-end" && kindOf(record) === "database").length > 1;
}

async function main(): Promise<number> {
  const missing = skipWithoutShim();
  if (missing !== false) {
    console.error(`skipped: ${missing}`);
    return 0;
  }
  console.error(`seed ${values.seed}`);
  const folder = mkdtempSync(join(tmpdir(), "postrider-crash-"));
  callbacks.push(() => rmSync(folder, { recursive: true, force: true }));
  const recorder = new Recorder();
  await recorder.start();
  callbacks.push(() => recorder.stop());
  const report = new Report();
  await kill(report, folder, recorder);
  await cutPower(report, folder, recorder);
  console.log(report.text());
  for (const failure of report.failures) console.log(`FAILED: ${failure}`);
  if (report.failures.length > 0) return 1;
  const given = ["rounds", "moments", "seconds", "seed"] as const;
  const command = given.map((name) => `--${name} ${values[name]}`).join(" ");
  const when = `Measured ${new Date().toISOString().slice(0, 10)} with \`npm run test:crash -- ${command}\`.`;
  if (values.write) report.write(when);
  return 0;
}

// Before the first victim starts: what was begun is cleaned up.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));

async function cleanUp(): Promise<void> {
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) await callback();
}

try {
  process.exitCode = await main();
} finally {
  await cleanUp();
}
