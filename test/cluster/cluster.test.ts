/** Three servers' worth of queue on one database: nobody's mail is lost, and nobody's is in two hands. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { describePostgres, newSchema, postgresHere, type TestPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { Cluster } from "./cluster.ts";

/** Short, so that taking over is not waited for; a busy machine must still renew within it. */
const LEASE_MS = 3000;

async function clusterFor(t: TestContext): Promise<{ cluster: Cluster; postgres: TestPostgres }> {
  const postgres = await postgresHere();
  const { schema, drop } = newSchema(postgres);
  const cluster = new Cluster({ url: postgres.url, schema, marks: tempFolder(t), nodes: 3, lease: LEASE_MS });
  t.after(async () => {
    cluster.end();
    await Promise.all(cluster.nodes.map(({ ended }) => ended));
    await drop();
  });
  return { cluster, postgres };
}

function nothingLost({ queued, delivered }: Cluster): void {
  const lost = [...queued].filter((id) => !delivered.has(id));
  assert.deepEqual(lost, [], `${lost.length} of ${queued.size} lost`);
}

const twice = ({ delivered }: Cluster) => [...delivered.values()].filter((times) => times > 1).length;

await describePostgres("three nodes on one queue", () => {
  test("each recipient is in one hand at a time and delivered once", async (t) => {
    const { cluster } = await clusterFor(t);
    await cluster.until(() => cluster.delivered.size >= 600);
    await cluster.drain();
    nothingLost(cluster);
    assert.deepEqual(cluster.clashes, []);
    assert.equal(twice(cluster), 0);
    assert.equal(cluster.delivered.size, cluster.queued.size);
  });

  test("one is killed under load: the others take over what it had, and nothing is lost", async (t) => {
    const { cluster } = await clusterFor(t);
    await cluster.until(() => cluster.delivered.size >= 300);
    await cluster.kill(0);
    const by = cluster.delivered.size + 200;
    await cluster.until(() => cluster.delivered.size >= by);
    await cluster.drain(); // ends only when the queue is empty: what the dead one had, too
    nothingLost(cluster);
    assert.deepEqual(cluster.clashes, []);
    // Delivered, and killed before it was written down: no more than one lease of 20.
    assert.ok(twice(cluster) <= 20, `${twice(cluster)} twice`);
  });

  test("the database crashes under load and comes back: refused meanwhile, nothing acknowledged is lost", async (t) => {
    const { cluster, postgres } = await clusterFor(t);
    const control = postgres.control;
    if (control === undefined) return t.skip("the server is not ours to stop");
    await cluster.until(() => cluster.delivered.size >= 200);
    await control.stop();
    await cluster.until(() => cluster.refusals.size === 3);
    await control.start();
    const by = cluster.delivered.size + 300;
    await cluster.until(() => cluster.delivered.size >= by);
    await cluster.drain();
    nothingLost(cluster);
    assert.deepEqual(cluster.clashes, []);
  });
});
