/** A small part of the crash suite in every test run, and the proof that its checks can fail; all of it: `npm run test:crash`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { suiteCleanup } from "../support/cleanup.ts";
import { describeUnless } from "../support/programs.ts";
import { tempFolder } from "../support/temp-folder.ts";
import type { Fate } from "./disk.ts";
import { checkOrder } from "./order.ts";
import { crashPoints } from "./points.ts";
import { losePower } from "./power.ts";
import { Random } from "./random.ts";
import { Recorder } from "./recorder.ts";
import { record } from "./recording.ts";
import { Rounds } from "./round.ts";
import { skipWithoutShim } from "./shim.ts";
import { Stage } from "./victim.ts";

const seed = Date.now() % 1_000_000;
/** The others, and more moments, are for `npm run test:crash`: each costs seconds. */
const inEveryRun = ["wal:before-sync", "hop:after-250", "wal:eio"];
/** Of a run that a power loss ends. */
const MESSAGES = 40;
const MOMENTS = 4;

describeUnless(skipWithoutShim(), `crashes (seed ${seed})`, () => {
  const suite = suiteCleanup();
  const recorder = new Recorder();
  let folder: string;
  before(async () => {
    folder = tempFolder(suite, "postrider-crash-");
    await recorder.start();
    suite.after(() => recorder.stop());
  });

  test("ended at named points under load: nothing is lost, and nothing comes twice without an explanation", async (t) => {
    const rounds = new Rounds(t, new Stage(join(folder, "rounds"), recorder.port), recorder, new Random(seed));
    for (const point of crashPoints.filter(({ point }) => point !== undefined && inEveryRun.includes(point))) {
      const { lost, damaged, unexplained } = await rounds.run(point);
      assert.deepEqual({ lost, damaged, unexplained }, { lost: [], damaged: [], unexplained: [] }, point.title);
    }
  });

  for (const silent of [true, false]) {
    test(`power loss while ${silent ? "nothing is" : "all is"} delivered: each 250 stands for what was synced before it`, async (t) => {
      const recording = await record(t, recorder, { folder, messages: MESSAGES, silent });
      const { replies, large, violations } = checkOrder(recording.records);
      assert.deepEqual(violations, []);
      assert.equal(replies, MESSAGES);
      assert.ok(large > 0, "no large body was among them");
      const random = new Random(seed);
      const fate = (): Fate => (random.next() < 0.5 ? { kind: "forgotten" } : { kind: "some", random, block: 512 });
      const { lost, twice, refused } = await losePower({ ...recording, moments: MOMENTS, random, fate });
      assert.deepEqual({ lost, twice, refused }, { lost: [], twice: [], refused: [] });
    });
  }

  test("a server that does not sync is found out: by the order of its calls, and by what a power loss leaves", async (t) => {
    const recording = await record(t, recorder, { folder: join(folder, "no-sync"), messages: MESSAGES, silent: true, noSync: true });
    const { replies, violations } = checkOrder(recording.records);
    assert.ok(violations.length >= replies, `${violations.length} of ${replies} replies came too early`);
    assert.match(violations[0] ?? "", /no sync of the log between its row and the reply/);
    const { accepted, lost } = await losePower({ ...recording, moments: 3, random: new Random(1), fate: () => ({ kind: "forgotten" }) });
    assert.equal(lost.length, accepted);
    assert.ok(accepted > 0);
  });
});
