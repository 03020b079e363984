import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { memoryContent } from "../mail/content.ts";
import { FakeClock } from "../util/testing.ts";
import { BALLAST_SIZE, DiskRoom, giveUpBallast } from "./disk-room.ts";
import { PromisedWriter } from "./promised-writer.ts";
import { type ContentWriter, StoreError } from "./store.ts";

const MB = 1024 * 1024;
const MINIMUM = 10 * MB;

function room(t: TestContext, free: number) {
  const folder = tempFolder(t);
  const disk = { free };
  const clock = new FakeClock();
  const made = new DiskRoom({ folder, minimumFree: MINIMUM, clock, free: () => disk.free });
  return { room: made, disk, clock, ballast: join(folder, "ballast"), folder };
}

const isFull = (error: unknown): boolean => error instanceof StoreError && error.code === "full";

/** Keeps what it is given, and counts. */
function sink(): ContentWriter & { readonly chunks: Uint8Array[] } {
  const chunks: Uint8Array[] = [];
  return { chunks, write: (chunk) => void chunks.push(chunk), finish: () => memoryContent(chunks), discard: () => {} };
}

describe("room on the disk", () => {
  test("what is taken counts until the next look, which sees what is really free", (t) => {
    const { room: it, disk, clock } = room(t, MINIMUM + BALLAST_SIZE + 3 * MB);
    it.take(2 * MB);
    assert.throws(() => it.take(2 * MB), isFull);
    it.take(1 * MB);
    disk.free = MINIMUM + 2 * MB;
    clock.advance(1000);
    it.take(2 * MB);
    assert.throws(() => it.take(1), isFull);
  });

  test("what is promised counts until it is released, however often the disk is looked at", (t) => {
    const { room: it, disk, clock } = room(t, MINIMUM + BALLAST_SIZE + 3 * MB);
    it.promise(2 * MB);
    disk.free = MINIMUM + 3 * MB;
    for (let i = 0; i < 3; i++) {
      clock.advance(1000);
      assert.throws(() => it.take(2 * MB), isFull);
    }
    it.release(2 * MB);
    it.take(2 * MB);
  });

  test("the ballast is made with the first that comes in, given up once, and nothing is taken in until it is made anew", (t) => {
    const { room: it, disk, clock, ballast } = room(t, MINIMUM + BALLAST_SIZE + MB);
    assert.equal(existsSync(ballast), false);
    it.take(1);
    assert.equal(statSync(ballast).size, BALLAST_SIZE);
    assert.equal(it.giveUpBallast(), true);
    assert.equal(existsSync(ballast), false);
    assert.equal(it.giveUpBallast(), false);
    disk.free = MINIMUM + BALLAST_SIZE - 1;
    clock.advance(1000);
    assert.throws(() => it.take(0), /needed for the ballast/);
    disk.free = MINIMUM + BALLAST_SIZE;
    clock.advance(1000);
    it.take(0);
    assert.equal(statSync(ballast).size, BALLAST_SIZE);
  });

  test("a ballast of an earlier run serves; one that was cut short is made anew", (t) => {
    const { room: it, folder, disk, clock } = room(t, MINIMUM + 2 * BALLAST_SIZE);
    it.take(0);
    disk.free = MINIMUM;
    const next = new DiskRoom({ folder, minimumFree: MINIMUM, clock, free: () => disk.free });
    next.take(0);
    assert.equal(giveUpBallast(folder), true);
    const last = new DiskRoom({ folder, minimumFree: MINIMUM, clock, free: () => disk.free });
    assert.throws(() => last.take(0), isFull);
  });
});

describe("content that arrives", () => {
  test("with a declared size: it is refused before its first octet where there is no room", (t) => {
    const { room: it } = room(t, MINIMUM + BALLAST_SIZE + 3 * MB);
    const first = new PromisedWriter(it, sink, 2 * MB);
    assert.throws(() => new PromisedWriter(it, sink, 2 * MB), isFull);
    first.discard();
    new PromisedWriter(it, sink, 2 * MB).discard();
  });

  test("without one: it is refused in the middle, before what is kept free is touched, and what it had is given back", async (t) => {
    const { room: it } = room(t, MINIMUM + BALLAST_SIZE + 3 * MB);
    const kept = sink();
    const writer = new PromisedWriter(it, () => kept, 0);
    const chunk = new Uint8Array(256 * 1024);
    for (let i = 0; i < 12; i++) await writer.write(chunk);
    await assert.rejects(async () => writer.write(chunk), isFull);
    assert.equal(kept.chunks.length, 12);
    writer.discard();
    writer.discard();
  });

  test("several at once share what is there", async (t) => {
    const { room: it } = room(t, MINIMUM + BALLAST_SIZE + 1 * MB);
    const writers = Array.from({ length: 4 }, () => new PromisedWriter(it, sink, 0));
    const small = new Uint8Array(1000);
    for (const writer of writers) await writer.write(small);
    const fifth = new PromisedWriter(it, sink, 0);
    await assert.rejects(async () => fifth.write(small), isFull);
    for (const writer of writers) await writer.finish();
    await fifth.write(small);
  });
});
