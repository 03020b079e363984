/** A data folder that is damaged: the server says what is wrong and what to do, the rest goes on where it can, and nothing is deleted. */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import type { MessageId } from "../../src/mail/message.ts";
import { openStores } from "../../src/relay/stores.ts";
import { type Finished, Running, run } from "../e2e/processes.ts";
import { newMessage, receive } from "../store-conformance/messages.ts";
import { startRecipient } from "../support/recipient.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { writeConfig } from "./victim.ts";

const LARGE = 300_000;

interface Setting {
  readonly data: string;
  readonly database: string;
  readonly config: string;
  readonly port: number;
}

function setting(t: TestContext, port = 1): Setting {
  const folder = tempFolder(t);
  const data = join(folder, "data");
  const config = join(folder, "postrider.toml");
  writeConfig(config, { data, hopPort: port, minimumFree: "1MB" });
  return { data, database: join(data, "postrider.db"), config, port };
}

/** Queues messages for a, b, c, ... at crash.test; every other one has a large body. */
async function queue({ data }: Setting, count: number): Promise<MessageId[]> {
  const stores = await openStores({ folder: data, minimumFree: 0 });
  const ids: MessageId[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const content = i % 2 === 1 ? await receive(stores.queue, Buffer.alloc(LARGE, "Subject: large\r\n")) : undefined;
      const recipients = [{ mailbox: { localPart: String.fromCharCode(97 + (i % 26)), domain: "crash.test" } }];
      const message = newMessage({
        arrived: Date.now() - 60_000 + i,
        envelope: { recipients },
        ...(content === undefined ? {} : { content }),
      });
      await stores.queue.enqueue(message, { lease: false });
      ids.push(message.id);
    }
  } finally {
    await stores.close();
  }
  return ids;
}

function change({ database }: Setting, sql: string, ...values: string[]): void {
  const db = new DatabaseSync(database);
  try {
    assert.equal(db.prepare(sql).run(...values).changes, 1);
  } finally {
    db.close();
  }
}

const bodies = ({ data }: Setting): string[] => readdirSync(join(data, "bodies")).map((name) => join(data, "bodies", name));
const command = ({ config }: Setting, ...words: string[]): Promise<Finished> => run([...words, "--config", config]);

describe("of three messages one is damaged: the others are delivered, it is kept, and said:", () => {
  const damages: Readonly<Record<string, { readonly harm: (set: Setting, id: MessageId) => void; readonly said: RegExp }>> = {
    "a row that cannot be read": {
      harm: (set, id) => change(set, "UPDATE message SET origin = '{' WHERE id = ?", id),
      said: /row damaged: /,
    },
    "a row that is not there": {
      harm: (set, id) => change(set, "DELETE FROM message WHERE id = ?", id),
      said: /row missing: /,
    },
    "a body that is not in the database": {
      harm: (set, id) => change(set, "DELETE FROM body WHERE key = (SELECT body FROM message WHERE id = ?)", id),
      said: /body missing from the database/,
    },
    "a body cut short in the database": {
      harm: (set, id) =>
        change(set, "UPDATE body SET content = substr(content, 1, 5) WHERE key = (SELECT body FROM message WHERE id = ?)", id),
      said: /body damaged: 5 of 1000 octets/,
    },
    "a body's file missing": { harm: (set) => rmSync(bodies(set)[0] as string), said: /body file missing/ },
    "a body's file cut short": { harm: (set) => truncateSync(bodies(set)[0] as string, 10), said: /body file damaged/ },
  };
  for (const [name, { harm, said }] of Object.entries(damages)) {
    test(name, async (t) => {
      const recipient = await startRecipient(t, { plain: true });
      const set = setting(t, recipient.port);
      const ids = await queue(set, 3);
      const hurt = name.includes("file") ? 1 : 0;
      harm(set, ids[hurt] as MessageId);
      const server = new Running(t, ["serve", "--config", set.config]);
      const others = ["a", "b", "c"].filter((_, i) => i !== hurt).map((local) => `${local}@crash.test`);
      for (const address of others) await recipient.messageFor(address);
      await server.said(said);
      assert.match(server.text, new RegExp(`"message ${ids[hurt]}"`));
      assert.equal(await server.end("SIGTERM"), 0);
      assert.equal(recipient.messages.length, 2);
      const db = new DatabaseSync(set.database);
      const left = db.prepare("SELECT message, last FROM recipient").all();
      db.close();
      assert.deepEqual(
        left.map(({ message }) => message),
        [ids[hurt]],
      );
      assert.match(String(left[0]?.last), said);
      if (!name.includes("cannot be read")) return;
      const listed = await command(set, "queue", "list");
      assert.equal(listed.code, 0, listed.err);
      assert.match(listed.out, new RegExp(`${ids[hurt]}[\\s\\S]*row damaged`));
    });
  }
});

describe("the server does not start, says why and what to do, and deletes nothing:", () => {
  async function refused(t: TestContext, harm: (set: Setting) => void, said: RegExp): Promise<void> {
    const set = setting(t);
    await queue(set, 4);
    harm(set);
    const before = snapshot(set);
    const { code, err } = await command(set, "serve");
    assert.equal(code, 70, err);
    assert.match(err, said);
    assert.deepEqual(snapshot(set), before);
  }

  test("a store from a newer version", (t) =>
    refused(
      t,
      (set) => change(set, "UPDATE module_version SET version = 999 WHERE module = ?", "queue"),
      /written by a newer version of this program \(queue 999\)[\s\S]*Run the newer Postrider again/,
    ));

  test("an empty database beside bodies", (t) =>
    refused(
      t,
      ({ database }) => truncateSync(database, 0),
      /postrider\.db is missing or empty, but .*bodies has 2 files that belong to its rows[\s\S]*Restore the folder from a backup/,
    ));

  test("no database beside bodies", (t) =>
    refused(t, ({ database }) => rmSync(database), /postrider\.db is missing or empty, but .*bodies has 2 files/));

  test("a database that is none any more", (t) =>
    refused(
      t,
      ({ database }) => overwrite(database, 0),
      /cannot open .*postrider\.db: file is not a database[\s\S]*Nothing was changed\. Restore the folder from a backup/,
    ));
});

test("a damaged page, met while it runs: the process ends and says so, and nothing is deleted", async (t) => {
  const recipient = await startRecipient(t, { plain: true });
  const set = setting(t, recipient.port);
  const ids = await queue(set, 4);
  const db = new DatabaseSync(set.database);
  const root = db.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'message'").get()?.rootpage as number;
  const pageSize = db.prepare("PRAGMA page_size").get()?.page_size as number;
  db.close();
  overwrite(set.database, (root - 1) * pageSize);
  const before = bodies(set);
  const { code, err } = await command(set, "serve");
  assert.equal(code, 70, err);
  assert.match(err, /the queue's storage failed; this process ends[\s\S]*malformed; .*postrider\.db is damaged, and left as it is/);
  assert.deepEqual(bodies(set), before);
  assert.equal(recipient.messages.length, 0);
  const found = readFileSync(set.database);
  for (const id of ids) assert.ok(found.includes(id), `${id} is nowhere any more`);
});

/** Sixteen octets of nonsense. */
function overwrite(path: string, offset: number): void {
  const fd = openSync(path, "r+");
  writeSync(fd, Buffer.alloc(16, 0xa5), 0, 16, offset);
  closeSync(fd);
}

/** Files and their sizes, but for what a start may leave behind: an empty database where there was none. */
function snapshot({ data, database }: Setting): string[] {
  return readdirSync(data, { recursive: true, encoding: "utf8" })
    .map((name) => join(data, name))
    .filter((path) => statSync(path).isFile() && !(path === database && statSync(path).size === 0))
    .filter((path) => existsSync(path) && !/(?:-shm|-wal|\.pem|lock)$/.test(path))
    .map((path) => `${path} ${statSync(path).size}`)
    .sort();
}
