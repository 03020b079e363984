import assert from "node:assert/strict";
import { test } from "node:test";
import { SmtpConnection } from "../client/smtp-connection.ts";
import { memoryContent } from "../mail/content.ts";
import { dial } from "../net/dial.ts";
import { utf8 } from "../util/bytes.ts";
import { type Arrival, Inbox } from "./inbox.ts";

test("takes mail for anyone, hands each message on, keeps the last few", async (t) => {
  const seen: Arrival[] = [];
  const inbox = new Inbox({
    host: "127.0.0.1",
    port: 0,
    hostname: "mx.recipient.test",
    keep: 2,
    onArrival: (arrival) => seen.push(arrival),
  });
  await inbox.start();
  t.after(() => inbox.stop(0));
  const connection = await SmtpConnection.open({ host: "127.0.0.1", port: inbox.port, name: "client.test", tls: "opportunistic", dial });
  assert.equal(connection.tls?.verified, false, "STARTTLS is offered");
  for (let i = 0; i < 3; i++) {
    const recipients = [{ mailbox: { localPart: `r${i}`, domain: "any.test" } }, { mailbox: { localPart: "other", domain: "else.test" } }];
    const envelope = { reversePath: null, recipients, body: "7BIT", smtpUtf8: false } as const;
    const results = await connection.send(envelope, memoryContent([utf8(`Subject: ${i}\r\n\r\ntext\r\n`)]));
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ["accepted", "accepted"],
    );
  }
  await connection.quit();
  assert.equal(seen.length, 3);
  assert.deepEqual(
    inbox.arrivals.map(({ envelope }) => envelope.recipients[0]?.mailbox.localPart),
    ["r1", "r2"],
  );
});
