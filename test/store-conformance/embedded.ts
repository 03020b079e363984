/** What a store that keeps its own files must do besides: one process at a time, space that is kept, a disk that is full. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fails, finished, stores } from "./conformance.ts";
import { isIntact, newMessage } from "./messages.ts";
import { BODY_FILE_THRESHOLD, type MessageId, type QueueStore } from "./nouns.ts";
import type { StoreOpener } from "./opener.ts";

const LARGE = BODY_FILE_THRESHOLD + 100_000;

/** Registers the tests for the store whose opener is the module at `openerUrl`. */
export async function embeddedStore(name: string, openerUrl: URL): Promise<void> {
  const opener: StoreOpener = await import(openerUrl.href);
  describe(`${name} store, embedded`, () => {
    const { open, closeAll, at: folder } = stores(opener);

    test("a second open of the same folder is refused", async () => {
      await open();
      await assert.rejects(open(), fails("busy"));
    });

    test("below the free space that is kept nothing comes in, and settling goes on", async () => {
      const message = newMessage();
      await (await open()).enqueue(message, { lease: false });
      await closeAll();
      const store = await open({ minimumFree: Number.MAX_SAFE_INTEGER });
      await assert.rejects(store.enqueue(newMessage(), { lease: true }), fails("full"));
      await assert.rejects(store.enqueue(newMessage({ size: LARGE }), { lease: true }), fails("full"));
      assert.throws(() => store.receive(100), fails("full"));
      const [found] = await store.lease(Date.now(), 1);
      assert.equal(found?.id, message.id);
      assert.deepEqual(await store.settle([finished(message.id)], []), [message.id]);
    });

    test("a full disk refuses whole messages, keeps what was accepted, and goes on when there is room", async (t) => {
      const disk = smallDisk(t, folder());
      if (disk === undefined) return;
      try {
        await fillUp(await open({}, disk), disk);
      } finally {
        await closeAll();
        execFileSync("umount", ["-l", disk]);
      }
    });
  });
}

async function fillUp(store: QueueStore, disk: string): Promise<void> {
  const accepted: MessageId[] = [];
  const errors: unknown[] = [];
  const fill = async () => {
    while (errors.length === 0) {
      const message = newMessage({ size: 20_000 });
      try {
        await store.enqueue(message, { lease: true });
        accepted.push(message.id);
      } catch (thrown) {
        errors.push(thrown);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, fill));
  for (const error of errors) fails("full")(error);
  writeFill(disk);
  const large = async () => {
    const writer = store.receive();
    try {
      await writer.write(new Uint8Array(1_000_000));
      await writer.finish();
    } finally {
      writer.discard();
    }
  };
  await assert.rejects(large(), fails("full"));
  assert.ok(accepted.length > 0);
  assert.equal((await store.list({ limit: 10_000 })).length, accepted.length);
  rmSync(join(disk, "fill"));
  rmSync(join(disk, "reserve"));
  const gone = await store.settle(
    accepted.slice(1).map((id) => finished(id)),
    [],
  );
  assert.equal(gone.length, accepted.length - 1);
  await store.enqueue(newMessage({ size: 20_000 }), { lease: true });
  const first = accepted[0] as MessageId;
  const content = await store.content(first);
  assert.ok(content !== undefined && (await isIntact(first, content)));
}

/** A file system of 8 MB with 3 MB in reserve, or `undefined` (and the test skipped) where we may not mount one. */
function smallDisk(t: TestContext, folder: string): string | undefined {
  const disk = join(folder, "disk");
  mkdirSync(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], { stdio: "pipe" });
  } catch {
    t.skip("mounting a small file system needs root");
    return undefined;
  }
  writeFileSync(join(disk, "reserve"), new Uint8Array(3_000_000));
  return disk;
}

/** Takes the last free octets of a disk. */
function writeFill(disk: string): void {
  for (const size of [1_000_000, 100_000, 4096, 1]) {
    try {
      for (;;) writeFileSync(join(disk, "fill"), new Uint8Array(size), { flag: "a" });
    } catch {
      // smaller pieces
    }
  }
}
