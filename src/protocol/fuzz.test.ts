/** Any bytes to either session: nothing is thrown, everything ends, and no more comes out than what went in is worth. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { reply } from "../mail/reply.ts";
import { fromLatin1 } from "../util/bytes.ts";
import { ClientSession } from "./client-session.ts";
import { ServerSession } from "./server-session.ts";
import { cutAt, latin1, places, runs } from "./testing.ts";

/** The longest reply of the server, to EHLO. */
const REPLY_LIMIT = 400;

const lines = [
  ...[
    "EHLO a",
    "HELO a",
    "STARTTLS",
    "AUTH PLAIN",
    "AUTH LOGIN dQ==",
    "AUTH PLAIN AHUAcA==",
    "dQ==",
    "*",
    "MAIL FROM:<>",
    "MAIL FROM:<a@b.test>",
  ],
  ...[
    "MAIL FROM:<a@b.test> SIZE=10 BODY=BINARYMIME SMTPUTF8",
    "MAIL FROM:<a@b.test> HOLDFOR=9 BY=5;R MT-PRIORITY=9",
    "RCPT TO:<a@b.test>",
    "RCPT TO:<é@b.test>",
    "DATA",
    ".",
    "BDAT 5",
    "BDAT 0 LAST",
  ],
  ...["BDAT 7 LAST", "RSET", "NOOP", "QUIT", "VRFY a", "HELP", "GET / HTTP/1.1", "", "BDAT 99999999999", "x".repeat(600)],
];

const input = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...lines).map((line) => `${fromLatin1(new TextEncoder().encode(line))}\r\n`) },
      { weight: 2, arbitrary: fc.constantFrom("\r", "\n", ".\r\n", "\r\n.\r\n", "\0", "MAIL FROM:") },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map(fromLatin1) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

interface Seen {
  readonly said: string;
  readonly content: string;
  readonly events: number;
  readonly closing: boolean;
}

/** `yes` decides, by the number of the question. */
function serve(pieces: readonly Uint8Array[], yes: (question: number) => boolean, submission: boolean): Seen {
  const session = new ServerSession({
    hostname: "mx.test",
    tls: "offered",
    maxSize: 1000,
    secured: submission,
    authentication: submission ? "required" : "none",
    futureRelease: { seconds: 10, until: 0 },
    maxPriority: 4,
  });
  session.greet();
  let events = 0;
  let question = 0;
  let content = "";
  let said = fromLatin1(session.takeOutput() ?? new Uint8Array(0));
  for (const piece of pieces) {
    session.receive(piece);
    for (let event = session.next(); event !== undefined; event = session.next()) {
      events++;
      if (event.type === "starttls") session.upgraded();
      else if (event.type === "auth") yes(question++) ? session.authenticated("u") : session.refuse(reply(535, "5.7.8", "no"));
      else if (event.type === "content") content += fromLatin1(event.chunk);
      else if (event.type !== "reset" && event.type !== "refused")
        yes(question++) ? session.accept() : session.refuse(reply(450, "4.0.0", "no"));
    }
    said += fromLatin1(session.takeOutput() ?? new Uint8Array(0));
  }
  return { said, content, events, closing: session.closing };
}

test("any bytes to the server: replies are whole, bounded, and the same at any cut", () => {
  fc.assert(
    fc.property(input, places(), fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), fc.boolean(), (text, at, answers, submission) => {
      const yes = (question: number): boolean => answers[question % answers.length] as boolean;
      const bytes = latin1(text);
      const whole = serve([bytes], yes, submission);
      assert.ok(/^(?:\d{3}[ -][^\r\n]*\r\n)+$/.test(whole.said));
      const commands = text.split(/[\r\n]/).length + 2;
      assert.ok(whole.said.length <= commands * REPLY_LIMIT);
      assert.ok(whole.content.length <= text.length);
      // STARTTLS forgets what came behind it in the same piece, so that cuts make a difference there.
      if (text.toUpperCase().includes("STARTTLS")) return;
      const cut = serve(cutAt(bytes, at), yes, submission);
      assert.deepEqual({ ...cut, events: 0 }, { ...whole, events: 0 });
    }),
    runs(800),
  );
});

const answers = [
  "220 hi",
  "250 ok",
  "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
  "354 go",
  "334 ",
  "334 VXNlcm5hbWU6",
  "235 ok",
];
const replies = fc
  .array(
    fc.oneof(
      {
        weight: 10,
        arbitrary: fc
          .constantFrom(...answers, "550 5.1.1 no", "552 no", "450 later", "421 bye", "221 bye", "500 what?")
          .map((line) => `${line}\r\n`),
      },
      { weight: 1, arbitrary: fc.constantFrom("250-", "2", "\r\n", "\n", "250", "1", "999 x\r\n") },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 10 }).map(fromLatin1) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

test("any bytes to the client: nothing thrown, one result each, and the end is the end", () => {
  const options = fc.record({
    protocol: fc.constantFrom("smtp" as const, "lmtp" as const),
    tls: fc.constantFrom("implicit" as const, "required" as const, "opportunistic" as const, "none" as const),
    login: fc.boolean(),
    via: fc.constantFrom("DATA" as const, "BDAT" as const),
  });
  fc.assert(
    fc.property(replies, places(), options, (text, at, { login, via, ...others }) => {
      const session = new ClientSession({ name: "a", ...others, ...(login ? { credentials: { user: "u", password: "p" } } : {}) });
      const recipients = ["b", "c"].map((localPart) => ({ mailbox: { localPart, domain: "d.test" } }));
      let begun = 0;
      let done = 0;
      let said = 0;
      const attend = (): void => {
        for (let event = session.next(); event !== undefined; event = session.next()) {
          if (event.type === "starttls" && session.state === "handshake") session.upgraded();
          if (event.type === "send-content") {
            session.content(latin1("..x\r\n"));
            session.endContent();
          }
          if (event.type === "done") {
            done++;
            assert.equal(event.results.length, 2);
          }
          if (event.type === "failed" || event.type === "closed") assert.equal(session.idle, false);
          if (session.idle && begun < 5) {
            begun++;
            session.begin({ reversePath: null, recipients, body: "7BIT", smtpUtf8: false }, { via, size: 5 });
          }
        }
        for (const piece of session.takeOutput()) said += piece.length;
      };
      for (const piece of cutAt(latin1(text), at)) {
        session.receive(piece);
        attend();
      }
      session.lost("gone");
      attend();
      assert.equal(done, begun);
      assert.equal(session.idle, false);
      assert.ok(said <= 2000 + text.length * 40);
      session.receive(latin1("250 ok\r\n"));
      session.lost("again");
      assert.equal(session.next(), undefined);
      assert.deepEqual(session.takeOutput(), []);
    }),
    runs(1500),
  );
});
