/** Disks that are full or read-only: nothing that was accepted is lost, all goes on by itself, and what is wrong is said. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { run } from "../e2e/processes.ts";
import { describeUnless } from "../support/programs.ts";
import { SmallDisk, skipWithoutMount } from "../support/small-disk.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { runLoad } from "./load.ts";
import { Recorder } from "./recorder.ts";
import { skipWithoutShim } from "./shim.ts";
import { Stage } from "./victim.ts";

const DISK = 48 * 1024 * 1024;
const DRAIN_LIMIT = 60_000;

interface Setting {
  readonly disk: SmallDisk;
  readonly stage: Stage;
  readonly recorder: Recorder;
}

async function setting(t: TestContext): Promise<Setting> {
  const recorder = new Recorder();
  await recorder.start();
  t.after(() => recorder.stop());
  const disk = new SmallDisk(t, DISK);
  const stage = new Stage(tempFolder(t), recorder.port, { data: join(disk.folder, "data") });
  return { disk, stage, recorder };
}

const load = (port: number, prefix: string, messages: number) => runLoad({ port, connections: 4, messages, prefix });

async function arrivedOnce({ recorder, stage }: Setting, ids: readonly string[], said: () => string): Promise<void> {
  assert.ok(await recorder.has(ids, DRAIN_LIMIT), `not all were delivered:\n${said()}`);
  assert.ok(await stage.drained(DRAIN_LIMIT), `the queue did not become empty:\n${said()}`);
  for (const id of ids) assert.equal(recorder.arrived.get(id), 1, `${id} came more than once`);
  assert.deepEqual(recorder.damaged, []);
}

describeUnless(skipWithoutShim() || skipWithoutMount(), "a disk that is", () => {
  test("full to the last octet: 452 meanwhile, what was accepted is delivered and settled, and then all goes on", async (t) => {
    const set = await setting(t);
    const { disk, stage, recorder } = set;
    recorder.silent = true;
    const victim = await stage.start(t);
    const queued = await load(victim.port, "before", 40);
    assert.equal(queued.accepted.length, 40, victim.text);
    disk.fill();
    // The look at what is free is a second old at most.
    const meanwhile = await load(victim.port, "meanwhile", 40);
    assert.ok(meanwhile.refusals.length > 0, victim.text);
    for (const refusal of meanwhile.refusals) assert.match(refusal, /^452 4\.3\.1 /);
    recorder.silent = false;
    await arrivedOnce(set, [...queued.accepted, ...meanwhile.accepted], () => victim.text);
    assert.match(victim.text, /the ballast is given up so that what is delivered can be settled/);
    disk.free();
    let after = await load(victim.port, "after", 1);
    for (let i = 0; i < 100 && after.accepted.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      after = await load(victim.port, `after${i}`, 1);
    }
    await arrivedOnce(set, after.accepted, () => victim.text);
    assert.equal(after.accepted.length, 1, "nothing is accepted although there is room");
    assert.deepEqual(await victim.end("SIGTERM"), { code: 0, signal: null });
  });

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    test(`full when the server starts, after ${signal}: it starts and delivers`, async (t) => {
      const set = await setting(t);
      const { disk, stage, recorder } = set;
      recorder.silent = true;
      const victim = await stage.start(t);
      const queued = await load(victim.port, "before", 40);
      assert.equal(queued.accepted.length, 40, victim.text);
      await victim.end(signal);
      disk.fill();
      recorder.silent = false;
      const next = await stage.start(t);
      await arrivedOnce(set, queued.accepted, () => next.text);
      assert.deepEqual(await next.end("SIGTERM"), { code: 0, signal: null });
    });
  }

  test("read-only: said with what to do, and nothing is deleted", async (t) => {
    const { disk, stage, recorder } = await setting(t);
    recorder.silent = true;
    const victim = await stage.start(t);
    assert.equal((await load(victim.port, "before", 40)).accepted.length, 40);
    await victim.end("SIGKILL");
    const before = filesIn(stage.data);
    assert.ok(before.length > 5);
    disk.readOnly();
    for (const command of ["serve", "queue list"]) {
      const { code, err } = await run([...command.split(" "), "--config", stage.config]);
      assert.equal(code, 73, err);
      assert.match(
        err,
        /cannot lock the folder .*readonly database.*\n.*Check that the folder exists and that this user may read and write it/,
      );
    }
    assert.deepEqual(filesIn(stage.data), before);
  });
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path) && statSync(path).isFile())
    .map((path) => `${path} ${statSync(path).size}`)
    .sort();
}
