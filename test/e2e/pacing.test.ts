/** Delivery as a good neighbour, by MX through a real DNS server: what is shared, what is left alone, and that nobody waits for another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openStores } from "../../src/relay/stores.ts";
import { startRelay } from "../../src/relay/testing.ts";
import { newMessage } from "../store-conformance/messages.ts";
import { startDnsServer, type Zone } from "../support/dns-server.ts";
import { startNextHops } from "../support/next-hops.ts";
import { tempFolder } from "../support/temp-folder.ts";

const DOMAINS = 100;
const EACH = 5;

test("one dead and one slow destination delay none of 100 good ones", async (t) => {
  let good = 0;
  const slowWaits: (() => void)[] = [];
  const { port, hops } = await startNextHops(t, [
    {
      beforeReply: () => {
        good++;
        if (good % 20 === 0) slowWaits.shift()?.(); // so slow is the slow one
      },
    },
    { beforeReply: () => new Promise<void>((resolve) => slowWaits.push(resolve)) },
    { greeting: undefined },
  ]);
  const zone: Zone = {
    "slow.test": { MX: [{ preference: 10, exchange: "mx.slow.test" }] },
    "mx.slow.test": { A: ["127.0.0.3"] },
    "dead.test": { MX: [{ preference: 10, exchange: "mx.dead.test" }] },
    "mx.dead.test": { A: ["127.0.0.4"] },
  };
  for (let i = 0; i < DOMAINS; i++) {
    zone[`good${i}.test`] = { MX: [{ preference: 10, exchange: `mx.good${i}.test` }] };
    zone[`mx.good${i}.test`] = { A: ["127.0.0.2"] };
  }
  const dns = await startDnsServer(zone);
  t.after(() => dns.close());
  const folder = tempFolder(t);
  const stores = await openStores({ folder, minimumFree: 0 });
  const arrived = Date.now() - 60_000;
  const queue = (domain: string, count: number, later: number): Promise<unknown>[] =>
    Array.from({ length: count }, (_, i) =>
      stores.queue.enqueue(
        newMessage({ arrived: arrived + later, envelope: { recipients: [{ mailbox: { localPart: `u${i}`, domain } }] } }),
        { lease: false },
      ),
    );
  // What is for the dead and the slow one has waited for longer, and is far more than can be in hand.
  await Promise.all([...queue("dead.test", 1000, 0), ...queue("slow.test", 1000, 1)]);
  await Promise.all(Array.from({ length: DOMAINS }, (_, i) => queue(`good${i}.test`, EACH, 2)).flat());
  await stores.close();

  const relay = await startRelay(t, 0, {
    folder,
    routes: [],
    dns: { servers: [dns.endpoint] },
    delivery: { port, stallAfter: 600_000 },
    hand: { recipients: 200, octets: 64 * 1024 * 1024 },
  });
  const delivered = (suffix: RegExp): number =>
    relay.events.filter((event) => event.type === "attempted" && event.outcome.action === "relayed" && suffix.test(event.recipient.domain))
      .length;
  while (delivered(/^good/) < DOMAINS * EACH) await relay.event("done", () => delivered(/^good/) === DOMAINS * EACH);
  assert.ok(delivered(/^slow/) <= 40, `${delivered(/^slow/)} to the slow one by then`);
  assert.equal(delivered(/^dead/), 0);
  const { messages } = await (async () => {
    await relay.stop(0);
    const again = await openStores({ folder, minimumFree: 0 });
    t.after(() => again.close());
    return again.queue.stats();
  })();
  assert.ok(messages >= 1950, `${messages} are left: nothing was given up, nothing lost`);
  assert.equal(hops[0]?.taken.flat().length, DOMAINS * EACH);
});

test("domains with the same exchangers share connections; a provider's tenants share its pace", async (t) => {
  const { port, hops } = await startNextHops(t, [{}]);
  const hosted = {
    MX: [
      { preference: 20, exchange: "b.host.test" },
      { preference: 10, exchange: "a.host.test" },
    ],
  };
  const zone: Zone = { "a.host.test": { A: ["127.0.0.2"] }, "b.host.test": { A: ["127.0.0.9"] } };
  for (let i = 0; i < 10; i++) zone[`d${i}.test`] = hosted;
  for (let i = 0; i < 3; i++) {
    zone[`t${i}.test`] = { MX: [{ preference: 10, exchange: `t${i}.tenants.test` }] };
    zone[`t${i}.tenants.test`] = { A: ["127.0.0.2"] };
  }
  const dns = await startDnsServer(zone);
  t.after(() => dns.close());
  const relay = await startRelay(t, 0, {
    routes: [],
    dns: { servers: [dns.endpoint] },
    delivery: {
      port,
      initialConnections: 1,
      keepIdle: 60_000,
      sources: ["127.0.0.77"],
      pacing: [{ name: "tenants", mx: [{ kind: "below", domain: "tenants.test" }], maxConnections: 2 }],
    },
  });
  const queue = async (domain: string): Promise<void> => {
    const message = newMessage({ envelope: { recipients: [{ mailbox: { localPart: "u", domain } }] } });
    await relay.stores.queue.enqueue(message, { lease: false });
    await relay.event("done", ({ id }) => id === message.id);
  };
  for (let i = 0; i < 10; i++) await queue(`d${i}.test`);
  assert.equal(hops[0]?.peers.length, 1, "ten domains, one connection");
  assert.deepEqual(
    hops[0]?.taken[0]?.map((address) => address.split("@")[1]),
    Array.from({ length: 10 }, (_, i) => `d${i}.test`),
  );
  assert.deepEqual(hops[0]?.peers, ["127.0.0.77"]);
  assert.deepEqual(
    relay.relay.destinations().map(({ destination }) => destination),
    ["mx a.host.test>b.host.test"],
  );
  for (let i = 0; i < 3; i++) await queue(`t${i}.test`);
  const tenants = relay.relay.destinations().filter(({ pace }) => pace === "tenants");
  assert.deepEqual(
    tenants.map(({ destination }) => destination),
    ["mx t1.tenants.test", "mx t2.tenants.test"],
    "who gave its idle connection away is forgotten",
  );
  assert.ok(tenants.reduce((sum, { connections }) => sum + connections, 0) <= 2, "the third took the place of an idle one");
});
