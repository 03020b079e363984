import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { domainsIn, KeyFolder, readKeyFile, tooOpen } from "./key-folder.ts";
import { KeysError, type KeysFault } from "./keys-error.ts";
import { NO_ROTATION, withSigning } from "./rotation.ts";

const fault = (wanted: KeysFault) => (error: unknown) => error instanceof KeysError && error.fault === wanted;

test("keys are made for their owner alone, can be loaded, and are never overwritten", (t) => {
  const folder = new KeyFolder(tempFolder(t), "Bücher.example");
  assert.equal(folder.domain, "xn--bcher-kva.example");
  assert.deepEqual([folder.selectors(), folder.rotation()], [[], NO_ROTATION]);
  const [made] = folder.create([{ selector: "a", kind: "ed25519" }]);
  assert.equal(statSync(folder.keyPath("a")).mode & 0o777, 0o600);
  assert.equal(statSync(folder.path).mode & 0o777, 0o700);
  assert.equal(folder.load("a").key.key.publicKey, made?.key.key.publicKey);
  const before = readFileSync(folder.keyPath("a"));
  const two = [{ selector: "b", kind: "ed25519" } as const, { selector: "a", kind: "ed25519" } as const];
  assert.throws(() => folder.create(two), fault("exists"));
  assert.deepEqual(readFileSync(folder.keyPath("a")), before);
  assert.deepEqual(folder.selectors(), ["a"], "none of them is made where one cannot be");
  writeFileSync(folder.keyPath("Other"), before);
  assert.deepEqual(folder.rotation(), { signing: ["a"], retired: [] }, "without a state, what is there signs");
});

test("the state is written whole and read back; one that is damaged is an error", (t) => {
  const folder = new KeyFolder(tempFolder(t), "example.test");
  folder.writeRotation(withSigning(NO_ROTATION, ["a"]));
  folder.writeRotation(withSigning(NO_ROTATION, ["b"]));
  assert.deepEqual(folder.rotation().signing, ["b"]);
  assert.deepEqual(readdirSync(folder.path), ["rotation.json"]);
  writeFileSync(join(folder.path, "rotation.json"), '{"version":1,');
  assert.throws(() => folder.rotation(), fault("state"));
});

test("what is no domain, no key or not there is an error that says so", (t) => {
  const root = tempFolder(t);
  assert.throws(() => new KeyFolder(root, "../x"), fault("name"));
  const folder = new KeyFolder(root, "example.test");
  assert.throws(() => folder.load("a"), fault("missing"));
  assert.throws(() => folder.create([{ selector: "../a", kind: "ed25519" }]), fault("key"));
  assert.ok(!existsSync(folder.path));
  mkdirSync(folder.path);
  writeFileSync(folder.keyPath("a"), "hello");
  assert.throws(() => folder.load("a"), fault("key"));
  writeFileSync(folder.keyPath("a"), "x".repeat(65 * 1024));
  assert.throws(() => readKeyFile(folder.keyPath("a")), fault("key"));
  mkdirSync(folder.keyPath("b"));
  assert.throws(() => readKeyFile(folder.keyPath("b")), fault("unreadable"));
  writeFileSync(join(root, "file"), "");
  assert.throws(() => new KeyFolder(join(root, "file"), "example.test").create([{ selector: "a", kind: "ed25519" }]), fault("unwritable"));
});

test("a key that others may read is told; domains with keys are listed", (t) => {
  const root = tempFolder(t);
  assert.deepEqual(domainsIn(join(root, "nowhere")), []);
  const folder = new KeyFolder(root, "example.test");
  folder.create([{ selector: "a", kind: "ed25519" }]);
  mkdirSync(join(root, "empty.test"));
  writeFileSync(join(root, "note"), "");
  assert.deepEqual(domainsIn(root), ["example.test"]);
  assert.equal(tooOpen(folder.keyPath("a")), undefined);
  chmodSync(folder.keyPath("a"), 0o604);
  assert.match(tooOpen(folder.keyPath("a")) ?? "", /chmod 600/);
});
