import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { tempFolder } from "../../test/support/temp-folder.ts";
import type { MailEvent } from "../mail/event.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { reply } from "../mail/reply.ts";
import { eventFields, eventLevel, eventLog, fanOut } from "./event-log.ts";
import { formatEvent, formatEventAt, formatSize, formatSpan } from "./event-text.ts";
import { LineWriter } from "./line-writer.ts";
import { createLogger, type LoggerOptions, readableLine } from "./logger.ts";
import { createMetrics } from "./metrics.ts";

const alice: Mailbox = { localPart: "alice", domain: "example.test" };
const bob: Mailbox = { localPart: "bob", domain: "x.test" };
const at = { name: "mx.x.test", address: "192.0.2.1", port: 25 };

const accepted: MailEvent = { type: "accepted", id: "ID", session: "s1", peer: "192.0.2.9", from: alice, recipients: [bob], size: 1234 };
const delivered: MailEvent = {
  type: "attempted",
  id: "ID",
  recipient: bob,
  outcome: { action: "delivered", at, reply: reply(250, "2.0.0", "Ok") },
  attempts: 1,
  age: 210,
};
const deferred: MailEvent = {
  type: "attempted",
  id: "ID",
  recipient: bob,
  outcome: {
    action: "delayed",
    scope: "host",
    status: "4.4.1",
    why: { kind: "connection", text: "connection refused", doing: "while connecting", at: { name: "mx.x.test", port: 25 } },
  },
  attempts: 1,
  next: new Date(2026, 0, 2, 21, 9, 5).getTime(),
  age: 12,
};

async function logged(t: TestContext, options: LoggerOptions, use: (logger: ReturnType<typeof createLogger>) => void): Promise<string[]> {
  const path = join(tempFolder(t), "log");
  const logger = createLogger({ ...options, fd: openSync(path, "w") });
  use(logger);
  await logger.flush();
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

describe("logger", () => {
  it("writes JSON lines with stable names", async (t) => {
    const written = await logged(t, { format: "json" }, (logger) => {
      logger.info("hello", { id: "ID" });
      logger.debug("not written");
      logger.error("bad", { error: new Error("why") });
    });
    const lines = written.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.length, 2);
    assert.equal(lines[0]?.level, "info");
    assert.equal(lines[0]?.message, "hello");
    assert.equal(lines[0]?.id, "ID");
    assert.match(String(lines[0]?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(JSON.stringify(lines[1]), /"message":"why"/);
  });

  it("writes readable lines that cannot move the cursor", async (t) => {
    const lines = await logged(t, { format: "readable", level: "debug" }, (logger) => {
      logger.warn("look\x1b[2J\nout", { peer: "192.0.2.1", why: "a b", none: undefined });
      logger.debug("deep", { value: { a: 1 } });
    });
    assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d warning: look \[2J out {2}peer=192\.0\.2\.1 why="a b"$/);
    assert.match(lines[1] ?? "", /debug: deep {2}value=\{ a: 1 \}$/);
    assert.equal(lines.length, 2);
  });

  it("keeps the order of lines, and writes each once", async (t) => {
    const lines = await logged(t, { format: "readable" }, (logger) => {
      for (let i = 0; i < 5000; i++) logger.info(`line ${i} é`);
    });
    assert.deepEqual(
      lines.map((line) => line.slice("00:00:00 ".length)),
      Array.from({ length: 5000 }, (_, i) => `line ${i} é`),
    );
  });

  it("loses lines rather than memory, and says so later", async (t) => {
    const path = join(tempFolder(t), "log");
    const writer = new LineWriter(openSync(path, "w"), 100);
    writer.write("first\n"); // under way from now on
    for (let i = 0; i < 30; i++) writer.write(`line ${i}....\n`);
    assert.ok(writer.takeLost() > 10);
    assert.equal(writer.takeLost(), 0);
    await writer.flush();
    writer.write("last\n");
    await writer.flush();
    assert.match(readFileSync(path, "utf8"), /^first\nline 0\.{4}\n.*\nlast\n$/s);
  });

  it("writes what waits even when the process dies now, and nothing to a reader that is gone", async (t) => {
    const path = join(tempFolder(t), "log");
    const fd = openSync(path, "w");
    const writer = new LineWriter(fd, 1000);
    writer.write("a\n");
    writer.write("b\n");
    writer.flushNow();
    await writer.flush();
    assert.deepEqual(readFileSync(path, "utf8").trim().split("\n").sort(), ["a", "b"]);
    closeSync(fd);
    const broken = new LineWriter(openSync(path, "r"), 1000);
    broken.write("x\n");
    await broken.flush();
    broken.write("y\n");
    await broken.flush();
  });

  it("tells the time of day", () => {
    assert.equal(readableLine(new Date(2026, 0, 2, 3, 4, 5).getTime(), "info", "x"), "03:04:05 x");
  });
});

describe("events", () => {
  it("become lines that a postmaster can read", () => {
    const lines: [MailEvent, string][] = [
      [accepted, "accepted   ID <alice@example.test> -> bob@x.test (1.2 KB)"],
      [
        { ...accepted, from: null, recipients: [bob, bob, bob, bob, bob, bob, bob] },
        "accepted   ID <> -> bob@x.test, bob@x.test, bob@x.test, bob@x.test, bob@x.test and 2 more (1.2 KB)",
      ],
      [delivered, "delivered  ID bob@x.test by mx.x.test[192.0.2.1]:25 after 0.2 s: 250 2.0.0 Ok"],
      [deferred, "deferred   ID bob@x.test until 21:09:05 because mx.x.test:25: connection refused (while connecting)"],
      [
        { type: "bounced", id: "ID", bounce: "IE", to: alice, failed: [bob] },
        "bounced    ID to alice@example.test as IE, could not reach bob@x.test",
      ],
      [{ type: "dropped", id: "ID", why: "a bounce", failed: [bob] }, "dropped    ID for bob@x.test: a bounce"],
      [{ type: "listening", listener: "smtp", address: "::", port: 25 }, "listening  on [::]:25 (smtp)"],
      [
        { type: "refused", session: "s1", peer: "p", at: "RCPT", reply: reply(550, "5.7.1", "Relaying\n denied"), why: "not\r\nlocal" },
        "refused    s1 p at RCPT: 550 5.7.1 Relaying  denied (not local)",
      ],
    ];
    for (const [event, line] of lines) assert.equal(formatEvent(event), line);
    assert.equal(
      formatEventAt(new Date(2026, 0, 2, 21, 4, 5).getTime(), accepted),
      "21:04:05 accepted   ID <alice@example.test> -> bob@x.test (1.2 KB)",
    );
  });

  it("become flat fields", () => {
    assert.deepEqual(eventFields(accepted), {
      event: "accepted",
      id: "ID",
      session: "s1",
      peer: "192.0.2.9",
      from: "alice@example.test",
      to: ["bob@x.test"],
      recipients: 1,
      size: 1234,
    });
    const fields = eventFields(deferred);
    assert.equal(fields.action, "delayed");
    assert.equal(fields.why, "mx.x.test:25: connection refused (while connecting)");
    assert.equal(fields.cause, "connection");
    assert.deepEqual(eventFields({ type: "done", id: "ID" }), { event: "done", id: "ID" });
  });

  it("have a level, and reach the log at it", async (t) => {
    assert.equal(eventLevel(delivered), "info");
    assert.equal(eventLevel({ type: "trouble", where: "store", why: "x" }), "error");
    const written = await logged(t, { format: "json" }, (logger) => {
      const sink = eventLog(logger);
      sink(accepted);
      sink({ type: "done", id: "ID" });
      eventLog(logger, { readable: true })(delivered);
    });
    const lines = written.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map((line) => line.message),
      ["accepted", formatEvent(delivered)],
    );
  });

  it("reach every sink and every counter", () => {
    const metrics = createMetrics();
    const sink = fanOut(() => {
      throw new Error("a broken sink");
    }, metrics.sink);
    for (const event of [accepted, delivered, deferred, deferred]) sink(event);
    const counts = metrics.snapshot();
    assert.equal(counts.messages_accepted, 1);
    assert.equal(counts.octets_accepted, 1234);
    assert.equal(counts.attempts, 3);
    assert.equal(counts.recipients_delivered, 1);
    assert.equal(counts.recipients_delayed, 2);
    assert.equal(counts.bounces, 0);
  });

  it("write sizes and spans in words", () => {
    assert.deepEqual([999, 1000, 999_949, 999_950, 35_882_577].map(formatSize), ["999 bytes", "1.0 KB", "999.9 KB", "1.0 MB", "35.9 MB"]);
    assert.deepEqual([210, 59_949, 59_950, 300_000, 16_200_000, 172_800_000].map(formatSpan), [
      "0.2 s",
      "59.9 s",
      "1 min",
      "5 min",
      "4.5 h",
      "2.0 d",
    ]);
  });
});
