import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SmtpClient } from "../client/node.ts";
import { LINE_LIMIT } from "./client-reader.ts";
import { matches, REPEAT_LIMIT, readScripts } from "./script.ts";
import { ScriptError } from "./script-error.ts";
import { ScriptedServer } from "./scripted-server.ts";

const client = (server: ScriptedServer, rest: object = {}) =>
  new SmtpClient({ host: server.host, port: server.port, localHostname: "client.test", ...rest });

const failure = (promise: Promise<unknown>): Promise<ScriptError> =>
  promise.then(
    () => assert.fail("it was done"),
    (error: unknown) => {
      assert.ok(error instanceof ScriptError, String(error));
      return error;
    },
  );

test("a whole message, pipelined or not", async () => {
  await using server = await ScriptedServer.start(`
    # a server without extensions
    <- 220 mx.test
    -> EHLO client.test
    <- 250 mx.test
    -> MAIL FROM:<a@b.test>
    <- 250 2.1.0 ok
    -> RCPT TO:<*@d.test>
    <- 250 2.1.5 ok
    -> DATA
    <- 354 go on
    content
    <- 250 2.0.0 taken
    -> QUIT
    <- 221 bye
  `);
  const smtp = client(server);
  await smtp.connect();
  await smtp.sendMail("a@b.test", "c@d.test", "Subject: x\n\n.dot\nlast");
  await smtp.quit();
  await server.done();
  assert.deepEqual(server.texts, ["Subject: x\r\n\r\n.dot\r\nlast\r\n"]);
});

test("where the client differs, the error shows the line and both dialogues", async () => {
  await using server = await ScriptedServer.start("<- 220 mx\n-> HELO *\n<- 250 mx");
  const smtp = client(server);
  await smtp.connect();
  await assert.rejects(smtp.ehlo());
  const error = await failure(server.done());
  assert.equal(error.line, 2);
  assert.equal(error.code, "ERR_ASSERTION");
  assert.equal(error.expected, "<- 220 mx\n-> HELO *\n<- 250 mx");
  assert.equal(error.actual, "<- 220 mx\n-> EHLO client.test");
  assert.equal(
    error.message,
    [
      'connection 1, line 2 of the script: the client says "EHLO client.test" instead of "HELO *"',
      "",
      "The script:",
      "  <- 220 mx",
      "> -> HELO *",
      "  <- 250 mx",
      "",
      "What was said:",
      "  <- 220 mx",
      "  -> EHLO client.test",
    ].join("\n"),
  );
});

test("STARTTLS and TLS from the first byte, with the certificate to trust", async () => {
  await using server = await ScriptedServer.start([
    `<- 220 mx
     -> EHLO *
     <- 250-mx
     <- 250 STARTTLS
     -> STARTTLS
     <- 220 go on
     tls
     -> EHLO *
     <- 250 mx
     -> QUIT
     <- 221 bye`,
    "tls\n<- 220 mx\n-> QUIT\n<- 221 bye",
  ]);
  const tls = { authorities: server.certificate };
  const first = client(server, { tls });
  await first.connect();
  await first.starttls();
  await first.ehlo();
  await first.quit();
  const second = client(server, { tls, implicitTls: true });
  await second.connect();
  await second.quit();
  await server.done();
});

test("a client that does not trust the certificate breaks the handshake off", async () => {
  await using server = await ScriptedServer.start("tls fails");
  await assert.rejects(client(server, { implicitTls: true }).connect(), { name: "TlsError" });
  await server.done();
});

test("close, reset and silence", async () => {
  await using server = await ScriptedServer.start([
    "<- 220 mx\n-> NOOP\nclose",
    "<- 220 mx\n-> NOOP\nreset",
    "<- 220 mx\n-> NOOP\nsilence",
  ]);
  for (const how of [{}, {}, { timeout: 50 }]) {
    const smtp = client(server, how);
    await smtp.connect();
    await assert.rejects(smtp.noop(), /DisconnectedError|SmtpTimeoutError/);
  }
  await server.done();
});

test("BDAT: as many octets as it says, chunks joined", async () => {
  await using server = await ScriptedServer.start("<- 220 mx\n-> BDAT 3\ncontent\n<- 250 ok\n-> BDAT 4 LAST\ncontent\n<- 250 ok");
  const socket = await greeted(server);
  socket.write("BDAT 3\r\na\r\nBDAT 4 LAST\r\nb\r\n.");
  await server.done();
  assert.deepEqual(server.texts, ["a\r\nb\r\n."]);
});

test("octets without a line's end, on both sides; UTF-8 and escapes", async () => {
  await using server = await ScriptedServer.start("<= 22\n<= 0 m\\x78\\r\\n\n=> \\{3*ab}\\0\\n\n-> grüße *\\\\\n<- 250 ok");
  const socket = await greeted(server);
  socket.write("ababab\0\ngrüße an alle\\\r\n");
  await server.done();
});

test("each connection has its script, and one more is a difference", async () => {
  await using server = await ScriptedServer.start("=== first\n<- 220 one\n=== second\n<- 220 two\n-> NOOP");
  for (const greeting of ["one", "two"]) {
    const smtp = client(server);
    assert.equal((await smtp.connect()).text, greeting);
  }
  await assert.rejects(client(server).connect());
  const error = await failure(server.done());
  assert.equal(error.connection, 3);
  assert.match(error.message, /there is no script for it/);
});

test("what a client says behind the end of the script is a difference", async () => {
  await using server = await ScriptedServer.start(["<- 220 mx", "<- 220 mx"]);
  const smtp = client(server);
  await smtp.connect();
  await assert.rejects(smtp.noop());
  const error = await failure(server.done());
  assert.equal(error.line, undefined);
  assert.match(error.message, /connection 1: the client goes on: "NOOP"[\s\S]*> \(its end\)/);
});

test("a client that closes early, says nothing or never comes", async () => {
  await using early = await ScriptedServer.start("<- 220 mx\n-> NOOP");
  (await greeted(early)).destroy();
  assert.match((await failure(early.done())).message, /line 2 of the script: the client has closed the connection/);
  await using silent = await ScriptedServer.start("<- 220 mx\n-> NOOP", { timeout: 20 });
  const socket = await greeted(silent);
  assert.match((await failure(silent.done())).message, /line 2 of the script: after 20 ms; the client says nothing/);
  socket.destroy();
  await using alone = await ScriptedServer.start(["<- 220 mx"], { timeout: 20 });
  assert.match((await failure(alone.done())).message, /connection 1: after 20 ms it was not made/);
});

test("words before a handshake, a line without an end, and a bare LF are differences", async () => {
  await using eager = await ScriptedServer.start("<- 220 mx\n-> STARTTLS\n<- 220 go\ntls");
  (await greeted(eager)).write("STARTTLS\r\nEHLO x\r\n");
  assert.match((await failure(eager.done())).message, /line 4 of the script: the client says more before the handshake/);
  await using long = await ScriptedServer.start("<- 220 mx\n-> NOOP");
  (await greeted(long)).write("x".repeat(LINE_LIMIT + 2));
  assert.match((await failure(long.done())).message, /instead of "NOOP"/);
  await using bare = await ScriptedServer.start("<- 220 mx\n-> NOOP");
  (await greeted(bare)).write("NOOP\nNOOP\r\n");
  assert.match((await failure(bare.done())).message, /says "NOOP\\\\nNOOP" instead/);
});

test("a unix socket", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "postrider-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await using server = await ScriptedServer.start("<- 220 lmtp\n-> LHLO *\n<- 250 lmtp", { path: join(folder, "s") });
  const smtp = client(server, { protocol: "lmtp" });
  await smtp.connect();
  await smtp.ehlo();
  await server.done();
  smtp.close();
});

test("a script that cannot be read says which line", () => {
  assert.throws(() => readScripts("\n<- 220\nbogus"), /line 3 of the script is no step: "bogus"/);
  assert.throws(() => readScripts("-> a\\q"), /line 1 of the script has an unknown escape: \\q/);
  assert.throws(() => readScripts("-> a\\"), SyntaxError);
  assert.throws(() => readScripts(`<- \\{${REPEAT_LIMIT}*ab}`), /too long/);
  assert.throws(() => readScripts("# nothing"), /empty/);
});

test("patterns", () => {
  assert.ok(matches("MAIL FROM:<*>*", "MAIL FROM:<a@b>  BODY=8BITMIME"));
  assert.ok(matches("*", ""));
  assert.ok(matches("\\{3*ab}*", "abababc"));
  assert.ok(!matches("a*a", "a"));
  assert.ok(!matches("EHLO", "EHLO x"));
});

/** A bare connection that has read the greeting. */
async function greeted(server: ScriptedServer): Promise<Socket> {
  const socket = connect(server.port, server.host);
  await new Promise<void>((resolve) => socket.once("data", () => resolve()));
  socket.on("error", () => {});
  return socket;
}
