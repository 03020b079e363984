/** Three servers on one database: what one has acknowledged is delivered, whichever of them, or the database, or the wire between is lost. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { describePostgres, newSchema, postgresHere, type TestPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./processes.ts";
import { account, type Place, SharedServers } from "./shared-servers.ts";

async function begin(t: TestContext): Promise<{ shared: SharedServers; postgres: TestPostgres; schema: string }> {
  const postgres = await postgresHere();
  const { schema, drop } = newSchema(postgres);
  t.after(drop);
  return { shared: new SharedServers(t, tempFolder(t), schema), postgres, schema };
}

async function three(t: TestContext): Promise<{ shared: SharedServers; postgres: TestPostgres }> {
  const begun = await begin(t);
  await begun.shared.start([1, 2, 3].map(() => ({ host: "127.0.0.1", url: begun.postgres.url })));
  return begun;
}

const listed = async (config: string): Promise<number> =>
  (JSON.parse((await run(["queue", "list", "--json", "--config", config])).out) as { messages: number }).messages;

await describePostgres("three servers on one database", () => {
  test("one is killed under load: the others deliver what it had acknowledged", async (t) => {
    const { shared } = await three(t);
    const [first, second] = shared.servers as [SharedServers["servers"][0], SharedServers["servers"][0]];
    shared.load();
    await shared.until(() => shared.accepted.size >= 300);
    await first.running.end("SIGKILL");
    const by = shared.accepted.size + 300;
    await shared.until(() => shared.accepted.size >= by);
    await shared.stop();
    await shared.drained();
    t.diagnostic(`${shared.accepted.size} accepted, all delivered, ${shared.twice} twice`);
    // Those that were with the next server when it was killed.
    assert.ok(shared.twice <= 20, `${shared.twice} twice`);
    assert.match((await run(["user", "list", "--config", second.config])).out, new RegExp(account));
  });

  test("the database crashes under load and comes back: 451 4.3.0 meanwhile, nothing acknowledged is lost", async (t) => {
    const { shared, postgres } = await three(t);
    const { control } = postgres;
    if (control === undefined) return t.skip("the database server is not ours to stop");
    shared.load();
    await shared.until(() => shared.accepted.size >= 200);
    await control.stop();
    shared.refusals.clear();
    await shared.until(() => [0, 1, 2].every((i) => shared.refusals.get(i)?.includes("451 4.3.0")));
    await control.start();
    const by = shared.accepted.size + 300;
    await shared.until(() => shared.accepted.size >= by);
    await shared.stop();
    await shared.drained();
    t.diagnostic(`${shared.accepted.size} accepted, all delivered, ${shared.twice} twice`);
  });

  test("a server is parted from the database: the others take over, and it goes on when the wire is whole", async (t) => {
    const why = noNamespaces();
    if (why !== undefined && process.env.CI) assert.fail(why);
    if (why !== undefined) return t.skip(why);
    const { shared, postgres } = await begin(t);
    const wire = await namespace(t, postgres);
    await shared.start([{ host: "127.0.0.1", url: postgres.url }, { host: "127.0.0.1", url: postgres.url }, wire.place]);
    shared.load();
    await shared.until(() => shared.accepted.size >= 300);
    wire.cut();
    shared.refusals.delete(2);
    await shared.until(() => shared.refusals.has(2));
    const by = shared.accepted.size + 200;
    await shared.until(() => shared.accepted.size >= by);
    wire.mend();
    const before = shared.acceptedBy[2] ?? 0;
    await shared.until(() => (shared.acceptedBy[2] ?? 0) >= before + 50);
    await shared.stop();
    await shared.drained();
    t.diagnostic(`${shared.accepted.size} accepted, all delivered, ${shared.twice} twice`);
  });

  test("queue migrate moves messages and accounts, and back", async (t) => {
    const { postgres, schema } = await begin(t);
    const folder = tempFolder(t);
    const plain = join(folder, "plain.toml");
    const shared = join(folder, "shared.toml");
    const common = `hostname = "mail.example.test"\n[listen]\nsubmission = ["127.0.0.1:0"]\n[queue]\nminimum_free = 0\n`;
    writeFileSync(plain, common);
    writeFileSync(shared, `${common}store = "${postgres.url}"\nstore_schema = "${schema}"\n`);
    await run(["user", "add", account, "--password-stdin", "--config", plain], "long enough\n");
    const { openStores } = await import("../../src/relay/stores.ts");
    const { newMessage } = await import("../store-conformance/messages.ts");
    const stores = await openStores({ folder: join(folder, "data"), minimumFree: 0 });
    for (let i = 0; i < 25; i++) await stores.queue.enqueue(newMessage({ size: i === 0 ? 2_000_000 : 1000 }), { lease: false });
    await stores.close();
    const there = await run(["queue", "migrate", "--from", join(folder, "data"), "--config", shared]);
    assert.equal(there.code, 0, there.err);
    assert.match(there.out, /moved 25 messages from .*data to postgres:\/\/.*\ncopied 1 account\n/);
    assert.doesNotMatch(there.out, /postgres@/);
    assert.deepEqual([await listed(plain), await listed(shared)], [0, 25]);
    assert.match((await run(["user", "list", "--config", shared])).out, new RegExp(account));
    const back = await run(["queue", "migrate", "--to", join(folder, "data"), "--json", "--config", shared]);
    assert.deepEqual(
      { ...JSON.parse(back.out), from: "", to: "" },
      { from: "", to: "", moved: 25, already: 0, unreadable: [], accounts: 0 },
    );
    assert.deepEqual([await listed(plain), await listed(shared)], [25, 0]);
    const same = await run(["queue", "migrate", "--to", postgres.url, "--config", plain]);
    assert.equal(same.code, 0, same.err);
    assert.equal((await run(["queue", "migrate", "--config", plain])).code, 64);
    assert.equal((await run(["queue", "migrate", "--from", join(folder, "data"), "--config", plain])).code, 64);
  });

  test("a database that is not there is said, without its password", async (t) => {
    const folder = tempFolder(t);
    const config = join(folder, "postrider.toml");
    writeFileSync(join(folder, "password"), "open sesame\n");
    writeFileSync(
      config,
      `hostname = "mail.example.test"\n[queue]\nstore = "postgres://rider@127.0.0.1:1/mail"\nstore_password_file = "password"\n`,
    );
    const { code, err } = await run(["serve", "--config", config]);
    assert.equal(code, 69);
    assert.match(err, /Check that the database runs/);
    assert.doesNotMatch(err, /sesame/);
    assert.equal(readFileSync(join(folder, "password"), "utf8"), "open sesame\n");
  });
});

/** Why no network namespace can be made here. */
function noNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "a network namespace needs root";
  try {
    execFileSync("ip", ["netns", "list"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `ip (iproute2) cannot be run: ${(error as Error).message}`;
  }
}

/** A namespace with two wires: one for mail, one to the database, which can be cut. */
async function namespace(t: TestContext, postgres: TestPostgres): Promise<{ place: Place; cut(): void; mend(): void }> {
  const tag = `pr${process.pid % 100_000}`;
  const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: "pipe" });
  ip("netns", "add", tag);
  t.after(() => ip("netns", "del", tag));
  const net = `10.${200 + (process.pid % 50)}.${(process.pid >> 6) % 250}`;
  for (const [i, kind] of ["m", "d"].entries()) {
    const [here, there] = [`${tag}${kind}h`, `${tag}${kind}n`];
    ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", tag);
    t.after(() => {
      try {
        ip("link", "del", here);
      } catch {} // gone with its namespace
    });
    ip("addr", "add", `${net}.${i * 4 + 1}/30`, "dev", here);
    ip("link", "set", here, "up");
    ip("-n", tag, "addr", "add", `${net}.${i * 4 + 2}/30`, "dev", there);
    ip("-n", tag, "link", "set", there, "up");
  }
  ip("-n", tag, "link", "set", "lo", "up");
  const port = await forward(t, `${net}.5`, postgres);
  const within = ["ip", "netns", "exec", tag];
  const place = { host: `${net}.2`, near: `${net}.1`, url: `postgres://postgres@${net}.5:${port}/postgres`, within };
  return { place, cut: () => ip("link", "set", `${tag}dh`, "down"), mend: () => ip("link", "set", `${tag}dh`, "up") };
}

/** The database's socket as a TCP port at this address. */
async function forward(t: TestContext, host: string, { url }: TestPostgres): Promise<number> {
  const folder = new URL(url.replace("@/", "@unix/")).searchParams.get("host");
  const listener = createServer((near) => {
    const far =
      folder === null
        ? createConnection(Number(new URL(url).port || 5432), new URL(url).hostname)
        : createConnection(`${folder}/.s.PGSQL.5432`);
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    t.after(() => near.destroy());
  });
  await new Promise<void>((resolve) => listener.listen(0, host, resolve));
  t.after(() => void listener.close());
  return (listener.address() as { port: number }).port;
}
